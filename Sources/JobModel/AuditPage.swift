// SPDX-License-Identifier: Apache-2.0

/// The files that an audit has in hand: who is looked at next, what is being digested, what came of each. Pure: it
/// reads neither the disk nor a clock, and is told what was seen.
///
/// A file is looked at (`next`, `looked`); where its bytes decide, it is digested and looked at once more (`digested`):
/// only what is the same file before and after counts. What is bad is looked at by the ledger too before anything is
/// said of it (`suspects`, `confirm`): a job may just have replaced it.
public struct AuditPage: Sendable {
    /// A file with the cursor that the audit has when it is through with it.
    public struct Entry: Sendable, Hashable {
        public var cursor: AuditCursor
        public var record: FileRecord
        public init(cursor: AuditCursor, record: FileRecord) {
            self.cursor = cursor
            self.record = record
        }
    }
    /// What was seen under a path.
    public enum Look: Sendable, Hashable {
        case gone
        /// Why the system would not say.
        case refused(String)
        case file(FileFacts)
    }
    public struct Finding: Sendable, Hashable {
        /// nil: it changed hands while it was looked at.
        public var verdict: AuditVerdict?
        /// In words, where it is bad.
        public var reason: String?
        public var facts: FileFacts?
        public var digest: Checksum?
        public init(_ verdict: AuditVerdict?, _ reason: String? = nil) {
            self.verdict = verdict
            self.reason = reason
        }
    }
    private enum Standing {
        case waiting
        case digesting(FileFacts)
        case settled(Finding)
    }
    /// Looks at one file before it counts as unreadable, or as being written to.
    public static let tries = 3

    public let entries: [Entry]
    private let options: AuditOptions
    /// For files without a digest, where one is to be recorded.
    private let algorithm: DigestAlgorithm
    private var standings: [Standing]
    private var looks: [Int]
    /// To be looked at again, before those that were not looked at yet.
    private var again: [Int] = []
    private var alone: Set<Int> = []
    private var nextNew = 0
    private var end: Int
    private var open = 0
    /// Taken and not looked at yet.
    private var taken = 0

    public init(_ entries: [Entry], options: AuditOptions, algorithm: DigestAlgorithm) {
        self.entries = entries
        self.options = options
        self.algorithm = algorithm
        standings = Array(repeating: .waiting, count: entries.count)
        looks = Array(repeating: 0, count: entries.count)
        end = entries.count
    }

    /// Files being digested.
    public var digesting: Int { open }
    /// Every file up to `cursor` has its finding.
    public var isComplete: Bool { open == 0 && taken == 0 && again.isEmpty && nextNew == end }
    /// How far the audit has come once this page is complete; nil: `entries` is empty or cut before its first.
    public var cursor: AuditCursor? { end == 0 ? nil : entries[end - 1].cursor }
    public var isCut: Bool { end < entries.count }
    /// Every file has been taken, though not all have their finding.
    public var isHandedOut: Bool { again.isEmpty && nextNew == end }
    /// A file of it has been taken.
    public var hasBegun: Bool { nextNew > 0 }
    /// What each file came to, in order; of those that were not cut off.
    public var findings: [(Entry, Finding)] {
        (0..<end).compactMap { index in
            if case .settled(let finding) = standings[index] { (entries[index], finding) } else { nil }
        }
    }

    /// Takes no new file: what was taken is finished, the rest is another page's.
    public mutating func cut() { end = nextNew }

    /// The next file to look at, taken; nil: none is left for now.
    public mutating func next() -> Int? {
        let index: Int
        if let last = again.popLast() {
            index = last
        } else {
            guard nextNew < end else { return nil }
            index = nextNew
            nextNew += 1
        }
        taken += 1
        return index
    }

    /// What a look at a file showed.
    /// - Returns: the algorithm that its bytes are to be digested with, if they decide.
    public mutating func looked(_ index: Int, _ look: Look) -> DigestAlgorithm? {
        looks[index] += 1
        taken -= 1
        switch look {
        case .gone: settle(index, Finding(.missing, "it is gone"))
        case .refused(let why): retry(index, Finding(.unreadable, "it cannot be reached (\(why))"))
        case .file(let facts):
            let record = entries[index].record
            var finding = Finding(.plausible)
            finding.facts = facts
            if let fault = PublishedCheck.fault(record, facts) {
                finding.verdict = .changed
                finding.reason = fault
            } else if let digest = record.digest {
                return digestingNow(index, facts, digest.algorithm)
            } else if let fault = PublishedCheck.timeFault(record, facts) {
                finding.verdict = .changed
                finding.reason = fault
            } else if options.recordsDigests {
                return digestingNow(index, facts, algorithm)
            }
            settle(index, finding)
        }
        return nil
    }

    private mutating func digestingNow(
        _ index: Int, _ facts: FileFacts, _ algorithm: DigestAlgorithm
    ) -> DigestAlgorithm {
        standings[index] = .digesting(facts)
        open += 1
        return algorithm
    }

    /// A digest came back, with what is seen of the file after it.
    public mutating func digested(_ index: Int, _ found: Checksum, after look: Look) {
        guard let before = closed(index) else { return }
        guard case .file(let facts) = look, facts.identity == before.identity, facts.size == before.size
        else {
            // Replaced or written to under our hands: whose digest that was nobody knows.
            return retry(index, Finding(nil))
        }
        var finding = Finding(.fine)
        finding.facts = facts
        finding.digest = found
        if let wanted = entries[index].record.digest, wanted != found {
            finding.verdict = .changed
            finding.reason = PublishedCheck.digestFault(found: found, published: wanted)
        }
        settle(index, finding)
    }

    /// There is no digest, and why.
    /// - Parameter isUnreadable: false: it is not the file's fault (no such algorithm, processes that die): then all
    ///   that can be said is that its length is right.
    public mutating func undigested(_ index: Int, _ why: String, isUnreadable: Bool) {
        guard let before = closed(index) else { return }
        var finding = Finding(isUnreadable ? .unreadable : .plausible, "it cannot be digested: \(why)")
        finding.facts = before
        retry(index, finding)
    }

    /// Nothing can be said of a file for a reason that is not its own: it is looked at again, and that is not counted.
    /// - Parameter alone: it is to be digested without others: one of them may have taken the process down.
    public mutating func putBack(_ index: Int, alone isAlone: Bool = false) {
        guard closed(index) != nil else { return }
        looks[index] -= 1
        again.append(index)
        if isAlone { alone.insert(index) }
    }

    /// Whether nothing else may be at stake with it.
    public func goesAlone(_ index: Int) -> Bool { alone.contains(index) }

    /// A suspect was looked at once more, and is another file than the one that was judged.
    public mutating func recheck(_ index: Int, _ look: Look) {
        guard case .settled(let finding) = standings[index], !isSame(finding, look) else { return }
        standings[index] = .waiting
        retry(index, Finding(nil))
    }

    private func isSame(_ finding: Finding, _ look: Look) -> Bool {
        switch look {
        case .gone: finding.verdict == .missing
        case .refused: finding.verdict == .unreadable
        case .file(let facts):
            // One that could not be opened is described all the same.
            finding.facts.map { $0.identity == facts.identity } ?? (finding.verdict == .unreadable)
        }
    }

    private mutating func closed(_ index: Int) -> FileFacts? {
        guard case .digesting(let facts) = standings[index] else { return nil }
        open -= 1
        standings[index] = .waiting
        return facts
    }

    private mutating func retry(_ index: Int, _ last: Finding) {
        if looks[index] < Self.tries { again.append(index) } else { settle(index, last) }
    }

    private mutating func settle(_ index: Int, _ finding: Finding) { standings[index] = .settled(finding) }

    /// Files that seem bad, once the page is complete.
    public var suspects: [Int] {
        (0..<end).filter { index in
            if case .settled(let finding) = standings[index] {
                finding.verdict?.isBad ?? false
            } else {
                false
            }
        }
    }

    /// The ledger's word on a suspect.
    /// - Parameter record: as it stands by now; nil: there is none, or a job is about to rename over the file.
    public mutating func confirm(_ index: Int, record: FileRecord?) {
        if record != entries[index].record { settle(index, Finding(nil)) }
    }
}
