// SPDX-License-Identifier: Apache-2.0

/// Which of a job's URLs is tried next, and when all of them are used up. Pure.
///
/// The order of the URLs is that of preference. A mirror that fails hands on to the next one at once; only when each
/// has had its turn does the job rest. One that has not got the file, or another file than the first that answered,
/// is dropped. With one URL nothing here has a say: `RetryPolicy` alone decides.
public struct MirrorMachine: Sendable, Hashable {
    /// A broken attempt, as far as the choice depends on it.
    public struct Break: Sendable {
        public var error: JobError
        /// What `RetryPolicy` made of it.
        public var fate: RetryPolicy.Fate
        /// The job has attempts left.
        public var mayRetry: Bool
        /// A rest of the job's own, where it is not this mirror that it waits for.
        public var pause: Duration
        public init(_ error: JobError, _ fate: RetryPolicy.Fate, mayRetry: Bool, pause: Duration) {
            self.error = error
            self.fate = fate
            self.mayRetry = mayRetry
            self.pause = pause
        }
    }

    /// The host of each URL.
    public let hosts: [HostKey]
    public private(set) var record: MirrorRecord

    /// - Parameter lane: the host that the job is queued for: where it goes on, whatever was stored.
    public init(hosts: [HostKey], record: MirrorRecord?, lane: HostKey) {
        self.hosts = hosts
        var record = record ?? MirrorRecord()
        record.failures.removeAll { !hosts.indices.contains($0.mirror) }
        record.tried.removeAll { !hosts.indices.contains($0) }
        if let measured = record.measured, !hosts.indices.contains(measured) {
            record.measured = nil
            record.size = nil
        }
        if !hosts.indices.contains(record.next) || hosts[record.next] != lane {
            record.next = hosts.firstIndex(of: lane) ?? 0
        }
        self.record = record
    }

    public var hasSeveral: Bool { hosts.count > 1 }
    public var next: Int { record.next }
    public var nextHost: HostKey { hosts.indices.contains(next) ? hosts[next] : .none }
    /// Those that may still be asked, beginning with the next one.
    public var live: [Int] {
        let dropped = Set(record.failures.lazy.filter(\.isFinal).map(\.mirror))
        return (hosts.indices.map { (next + $0) % hosts.count }).filter { !dropped.contains($0) }
    }

    /// What the file must measure at the next mirror: what another one that still counts has told.
    public var expectedSize: Int64? {
        guard let measured = record.measured, measured != next, live.contains(measured) else { return nil }
        return record.size
    }

    /// The mirror has told how long the file is.
    public mutating func measured(_ size: Int64) {
        guard hasSeveral else { return }
        if let measured = record.measured, measured != next, live.contains(measured) { return }
        record.size = size
        record.measured = next
    }

    /// Another mirror than the next, of another host, that could be asked now; the first by preference.
    public func elsewhere(_ isReady: (HostKey) -> Bool) -> Int? {
        guard hasSeveral else { return nil }
        let host = nextHost
        return live.sorted().first { hosts[$0] != host && isReady(hosts[$0]) }
    }

    /// Goes on there instead: the next one's host is not asked just now. Nothing is said of the one that is left out.
    public mutating func take(_ mirror: Int) {
        precondition(hosts.indices.contains(mirror), "no such mirror")
        record.next = mirror
    }

    /// An attempt at the next mirror broke.
    /// - Parameter wait: how long nothing may be asked of a host; nil: no end is known.
    public mutating func broke(_ broken: Break, wait: (HostKey) -> Duration?) -> RetryPolicy.Fate {
        // The job's own time is over wherever it is asked for.
        if case .giveUp(let error) = broken.fate, error.code == .jobDeadline { return broken.fate }
        guard hasSeveral else { return broken.fate }
        note(broken.error, isFinal: isFinal(broken))
        switch broken.fate {
        case .giveUp: return afterTheEnd(broken, wait)
        case .requeue:
            if let free = untried().first(where: { wait(hosts[$0]) == .zero }) { record.next = free }
            return .requeue
        case .retry(let delay):
            if let free = untried().first(where: { wait(hosts[$0]) == .zero }) {
                record.next = free
                return .requeue
            }
            return rest(delay, broken.pause, among: live, wait)
        }
    }

    /// What came had the wrong digest: the mirror is dropped, and another one is tried.
    /// - Parameters:
    ///   - isPure: every byte of it came from the next mirror; else nobody knows whose fault it is.
    ///   - mayRepeat: the file has a second look left, should there be no other mirror.
    /// - Returns: whether there is one to go on with.
    public mutating func mismatched(_ error: JobError, isPure: Bool, mayRepeat: Bool) -> Bool {
        let other = live.first { $0 != next }
        note(error, isFinal: (isPure || !mayRepeat) && (other != nil || !mayRepeat))
        // What it told of the file's length is worth no more than the file.
        if record.measured == next { forgetSize() }
        if let other { record.next = other }
        return other != nil || mayRepeat
    }

    /// What several mirrors brought together had a wrong digest, and whose fault it is cannot be told: the first by
    /// preference is asked for all of it, and nothing is shared any more. False: nothing was to be shared.
    public mutating func unshared() -> Bool {
        guard hasSeveral, record.isAlone != true, let first = live.min() else { return false }
        record.isAlone = true
        record.next = first
        return true
    }

    /// Those beside the next one that may have a share in its file.
    public var helpers: [Int] { record.isAlone == true ? [] : live.filter { $0 != next }.sorted() }

    /// One that had, or was to have, a share turned out not to have the file.
    public mutating func dropped(_ mirror: Int, _ error: JobError) {
        guard hosts.indices.contains(mirror), mirror != next else { return }
        note(error, isFinal: true, mirror: mirror)
    }

    /// One error for all: the last one's code, and what each said.
    public func summary(_ last: JobError) -> JobError {
        guard hasSeveral, !record.failures.isEmpty else { return last }
        let told = record.failures.map { "\(hosts[$0.mirror]): \($0.message)" }
        return JobError(last.code, "every mirror has failed: " + told.joined(separator: "; "))
    }

    /// All URLs of a host that is given up are used up. nil: no other one is left.
    public mutating func gaveUp(_ host: HostKey, _ error: JobError) -> HostKey? {
        for mirror in hosts.indices where hosts[mirror] == host {
            record.next = mirror
            note(error, isFinal: true)
        }
        guard let other = live.first else { return nil }
        record.next = other
        return hosts[other]
    }

    private func isFinal(_ broken: Break) -> Bool {
        guard case .giveUp = broken.fate else { return false }
        return !broken.error.isRetryable || broken.error.code == .hostUnavailable
    }

    private mutating func note(_ error: JobError, isFinal: Bool, mirror: Int? = nil) {
        let mirror = mirror ?? next
        record.failures.removeAll { $0.mirror == mirror }
        record.failures.append(
            MirrorRecord.Failure(
                mirror: mirror, code: error.code.name, message: String(error.message.prefix(300)),
                isFinal: isFinal))
        if !record.tried.contains(mirror) { record.tried.append(mirror) }
        if isFinal, record.measured == mirror { forgetSize() }
    }

    private mutating func forgetSize() {
        record.size = nil
        record.measured = nil
    }

    private func untried() -> [Int] { live.filter { !record.tried.contains($0) } }

    /// The mirror is used up, or the job has no attempt left: one that has never been asked is asked all the same.
    private mutating func afterTheEnd(
        _ broken: Break, _ wait: (HostKey) -> Duration?
    ) -> RetryPolicy.Fate {
        let failed = Set(record.failures.map(\.mirror))
        let left = live.filter { broken.mayRetry || !failed.contains($0) }
        guard !left.isEmpty else { return .giveUp(summary(broken.error)) }
        let fresh = left.filter { !record.tried.contains($0) }
        if let free = fresh.first(where: { wait(hosts[$0]) == .zero }) {
            record.next = free
            return .requeue
        }
        return rest(broken.pause, broken.pause, among: fresh.isEmpty ? left : fresh, wait)
    }

    /// Each has had its turn: a new round, beginning with the one that may be asked first.
    private mutating func rest(
        _ delay: Duration, _ pause: Duration, among mirrors: [Int], _ wait: (HostKey) -> Duration?
    ) -> RetryPolicy.Fate {
        let current = next
        // The one that has just failed comes last among equals.
        let order = mirrors.filter { $0 != current } + mirrors.filter { $0 == current }
        func time(_ mirror: Int) -> Duration {
            if mirror == current { return delay }
            return max(min(delay, pause), wait(hosts[mirror]) ?? .seconds(86_400))
        }
        guard let best = order.min(by: { time($0) < time($1) }) else { return .retry(after: delay) }
        record.tried = []
        record.next = best
        return .retry(after: time(best))
    }
}
