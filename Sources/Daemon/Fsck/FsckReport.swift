// SPDX-License-Identifier: Apache-2.0

import JobModel

/// One thing that is not as it should be.
struct Finding {
    enum Weight {
        /// Something of dld's own is broken.
        case wrong
        /// A published file is gone or changed: people may do that; `--strict` makes it wrong.
        case moved
        /// What the next start sets right by itself.
        case note
    }
    var weight: Weight
    /// A path, a job, a list.
    var object: String
    /// What was expected and what is there.
    var says: String
    /// What was done about it, if it was; else which option does it.
    var remedy: String
    var isMended = false
}

/// Collects findings and says each at once, one line each.
struct FsckReport {
    private let isStrict: Bool
    private let show: (String) -> Void
    private(set) var wrong = 0, mended = 0, notes = 0
    /// Lists, published files, parts that were looked at.
    var lists = 0, files = 0, parts = 0

    init(isStrict: Bool, show: @escaping (String) -> Void) {
        self.isStrict = isStrict
        self.show = show
    }

    /// Whether something is wrong that was not mended.
    var isClean: Bool { wrong == 0 }

    mutating func add(_ finding: Finding) {
        let word: String
        switch finding.weight {
        case _ where finding.isMended:
            mended += 1
            word = "mended"
        case .wrong:
            wrong += 1
            word = "wrong"
        case .moved where isStrict:
            wrong += 1
            word = "wrong"
        case .moved, .note:
            notes += 1
            word = "note"
        }
        let remedy = finding.remedy.isEmpty ? "" : "; \(finding.remedy)"
        // Names of files may hold what terminals obey.
        show("\(word): \(Masking.line("\(finding.object): \(finding.says)\(remedy)"))\n")
    }

    /// The last line.
    func summary() {
        let looked = "looked at \(lists) lists, \(files) published files, \(parts) parts"
        show("fsck: \(looked): \(wrong) wrong, \(mended) mended, \(notes) notes\n")
    }
}
