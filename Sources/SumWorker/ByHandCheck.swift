// SPDX-License-Identifier: Apache-2.0

import JobModel
import LinuxKit
import SystemPackage

extension ByHand {
    /// What `sumd check` minds; the words are those of coreutils.
    public struct CheckRules: Sendable, Hashable {
        /// Only this algorithm's lines count; nil: each line's own.
        public var algorithm: String?
        public var ignoresMissing = false
        /// No OK for each file that is fine.
        public var isQuiet = false
        /// The exit status alone tells.
        public var isStatusOnly = false
        /// A line that is none fails the check.
        public var isStrict = false
        /// Complains of each line that is none.
        public var warns = false
        public init() {}
    }

    /// Checks the files of lists (`-`: standard input) over `processes` workers; a line each and the complaints come in
    /// order and read as those of coreutils.
    /// - Returns: whether all is well, and what it took.
    public static func check(
        _ lists: [[UInt8]], rules: CheckRules, processes: Int, show: (DigestText) -> Void
    ) throws(ByHandError) -> (isFine: Bool, report: DigestReport) {
        let only: DigestAlgorithm?
        if let name = rules.algorithm { only = try algorithm(name) } else { only = nil }
        var texts: [(name: [UInt8], text: Result<[UInt8], SystemError>)] = []
        // Before there is a pool, which takes the signals: ^C still ends a list that comes from a keyboard.
        for list in lists { texts.append((list, ListText.read(list))) }
        var desk = try DigestDesk(processes: processes)
        var isFine = true
        for (name, text) in texts {
            switch text {
            case .success(let bytes):
                var check = ListCheck(name: name, only: only, rules: rules)
                if try !check.run(bytes, on: &desk, show: show) { isFine = false }
            case .failure(let error):
                isFine = false
                let message = error.code == .isDirectory ? "read error" : "\(error.code)"
                show(.complaint("\(ListCheck.shown(name)): \(message)"))
            }
        }
        return (isFine, desk.report)
    }
}

/// The bytes of a list.
private enum ListText {
    static func read(_ name: [UInt8]) -> Result<[UInt8], SystemError> {
        do throws(SystemError) {
            let file = try NamedFile.open(name)
            try file.setNonBlocking(false)
            var bytes: [UInt8] = []
            while let part = try file.read(upTo: 1 << 16), !part.isEmpty { bytes += part }
            return .success(bytes)
        } catch {
            return .failure(error)
        }
    }
}

/// One list under check.
private struct ListCheck {
    private enum Note {
        case entry(DigestListEntry)
        case malformed(line: Int)
    }

    private let name: String
    private let only: DigestAlgorithm?
    private let hint: DigestAlgorithm?
    private let rules: ByHand.CheckRules
    private var entries = 0
    private var matched = 0
    private var mismatched = 0
    private var unreadable = 0
    private var malformed = 0

    init(name: [UInt8], only: DigestAlgorithm?, rules: ByHand.CheckRules) {
        self.name = Self.shown(name)
        self.only = only
        hint = only ?? DigestAlgorithm(listName: String(decoding: name, as: UTF8.self))
        self.rules = rules
    }

    static func shown(_ name: [UInt8]) -> String {
        ShellQuoting.quoted(name == NamedFile.standardInput ? Array("standard input".utf8) : name)
    }

    mutating func run(
        _ text: [UInt8], on desk: inout DigestDesk, show: (ByHand.DigestText) -> Void
    ) throws(ByHandError) -> Bool {
        var reader = DigestListReader(hint: hint)
        var rest = text[...]
        var number = 0
        let only = only
        try desk.run { () -> (DigestDesk.Order, Note)? in
            while !rest.isEmpty {
                let line = rest.prefix { $0 != UInt8(ascii: "\n") }
                rest = rest[line.endIndex...].dropFirst()
                number += 1
                switch reader.read(line) {
                case .blank: continue
                case .entry(let entry) where only == nil || entry.checksum.algorithm == only:
                    return (.init(path: entry.name, algorithm: entry.checksum.algorithm), .entry(entry))
                case .entry, .bare, .malformed:
                    return (.init(path: nil, algorithm: .sha256), .malformed(line: number))
                }
            }
            return nil
        } show: { note, answer in
            switch note {
            case .malformed(let line): complain(ofLine: line, show)
            case .entry(let entry): judge(entry, answer, show)
            }
        }
        return verdict(show)
    }

    private mutating func complain(ofLine line: Int, _ show: (ByHand.DigestText) -> Void) {
        malformed += 1
        guard rules.warns else { return }
        let kind = hint.map { "\($0.tag) " } ?? ""
        show(.complaint("\(name): \(line): improperly formatted \(kind)checksum line"))
    }

    private mutating func judge(
        _ entry: DigestListEntry, _ answer: DigestDesk.Answer, _ show: (ByHand.DigestText) -> Void
    ) {
        entries += 1
        switch answer {
        case .nothing: break
        case .failed(.noSuchFileOrDirectory?, _) where rules.ignoresMissing: break
        case .failed(_, let message):
            unreadable += 1
            show(.complaint("\(ShellQuoting.quoted(entry.name)): \(message)"))
            tell(entry, "FAILED open or read", show)
        case .digest(let found) where found == entry.checksum:
            matched += 1
            if !rules.isQuiet { tell(entry, "OK", show) }
        case .digest:
            mismatched += 1
            tell(entry, "FAILED", show)
        }
    }

    private func tell(_ entry: DigestListEntry, _ word: String, _ show: (ByHand.DigestText) -> Void) {
        guard !rules.isStatusOnly else { return }
        // Only a line feed would break the line.
        let isBroken = entry.name.contains(UInt8(ascii: "\n"))
        let shown = isBroken ? [UInt8(ascii: "\\")] + DigestListEntry.escaped(entry.name).bytes : entry.name
        show(.output(shown + ": \(word)".utf8))
    }

    private func verdict(_ show: (ByHand.DigestText) -> Void) -> Bool {
        guard entries > 0 else {
            show(.complaint("\(name): no properly formatted checksum lines found"))
            return false
        }
        func warn(_ count: Int, _ one: String, _ many: String) {
            if count > 0 { show(.complaint("WARNING: \(count) \(count == 1 ? one : many)")) }
        }
        if !rules.isStatusOnly {
            warn(malformed, "line is improperly formatted", "lines are improperly formatted")
            warn(unreadable, "listed file could not be read", "listed files could not be read")
            warn(mismatched, "computed checksum did NOT match", "computed checksums did NOT match")
            if rules.ignoresMissing, matched == 0 { show(.complaint("\(name): no file was verified")) }
        }
        return matched > 0 && mismatched == 0 && unreadable == 0 && (malformed == 0 || !rules.isStrict)
    }
}
