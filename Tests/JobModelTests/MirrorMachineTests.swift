// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

/// Which URL of a job is tried next.
@Suite struct MirrorMachineTests {
    private static let hosts = ["a.example", "b.example", "c.example"].map { HostKey($0) }

    private func machine(_ count: Int = 3, _ record: MirrorRecord? = nil) -> MirrorMachine {
        MirrorMachine(hosts: Array(Self.hosts.prefix(count)), record: record, lane: Self.hosts[0])
    }
    /// What comes of an attempt that broke so. `waits`: seconds that nothing may be asked of a host.
    private func broke(
        _ machine: inout MirrorMachine, _ code: ErrorCode, _ fate: RetryPolicy.Fate? = nil,
        mayRetry: Bool = true, waits: [Int64] = [0, 0, 0]
    ) -> RetryPolicy.Fate {
        let error = JobError(code, "\(code.name) of \(machine.nextHost)")
        let broken = MirrorMachine.Break(
            error, fate ?? (code.isRetryable ? .retry(after: .seconds(8)) : .giveUp(error)),
            mayRetry: mayRetry, pause: .seconds(2))
        return machine.broke(broken) { host in
            Self.hosts.firstIndex(of: host).map { .seconds(waits[$0]) }
        }
    }
    private func message(_ fate: RetryPolicy.Fate) -> String? {
        if case .giveUp(let error) = fate { error.message } else { nil }
    }

    @Test func `with one URL it has no say`() {
        var machine = machine(1)
        #expect(broke(&machine, .stalled) == .retry(after: .seconds(8)))
        #expect(message(broke(&machine, .http(404))) == "http_404 of a.example")
        #expect(machine.record == MirrorRecord())
    }

    @Test func `one that fails hands on at once, and the job rests when each had its turn`() {
        var machine = machine()
        #expect(broke(&machine, .connect) == .requeue && machine.next == 1)
        #expect(broke(&machine, .stalled) == .requeue && machine.next == 2)
        // A new round begins with another than the one that has just failed, after a rest of the job's own.
        #expect(broke(&machine, .http(500)) == .retry(after: .seconds(2)) && machine.next == 0)
        #expect(broke(&machine, .connect) == .requeue && machine.next == 1)
    }

    @Test func `a mirror that is held is left out, and waited for only where there is no other`() {
        var machine = machine()
        #expect(broke(&machine, .connect, waits: [0, 60, 0]) == .requeue && machine.next == 2)
        // The second is held for a minute, the first is free after the job's own rest.
        #expect(
            broke(&machine, .connect, waits: [0, 60, 0]) == .retry(after: .seconds(2)) && machine.next == 0)
        var two = self.machine(2)
        #expect(
            broke(&two, .http(429), .retry(after: .seconds(60)), waits: [60, 30, 0])
                == .retry(after: .seconds(30)))
        #expect(two.next == 1)
    }

    @Test func `one without the file is dropped, and only when all are used up the job fails with all of it`()
    {
        var machine = machine()
        #expect(broke(&machine, .http(404)) == .requeue && machine.next == 1)
        #expect(machine.live == [1, 2])
        #expect(broke(&machine, .badLength) == .requeue && machine.next == 2)
        let end = message(broke(&machine, .http(410)))
        #expect(
            end == """
                every mirror has failed: a.example: http_404 of a.example; b.example: bad_length of b.example; \
                c.example: http_410 of c.example
                """)
    }

    @Test func `attempts run out: a mirror that was never asked is asked all the same`() {
        var machine = machine(2)
        let error = JobError(.stalled, "stalled")
        #expect(broke(&machine, .stalled, .giveUp(error), mayRetry: false) == .requeue && machine.next == 1)
        #expect(message(broke(&machine, .stalled, .giveUp(error), mayRetry: false)) != nil)
        // A file that is not there costs the other mirror none of its attempts.
        var other = self.machine(2)
        #expect(broke(&other, .stalled) == .requeue)
        #expect(broke(&other, .http(404)) == .retry(after: .seconds(2)) && other.next == 0)
    }

    @Test func `the job's own deadline is every mirror's`() {
        var machine = machine()
        let over = RetryPolicy.Fate.giveUp(JobError(.jobDeadline, "over"))
        #expect(broke(&machine, .stalled, over) == over)
    }

    @Test func `what was put back without charge goes on where it may`() {
        var machine = machine()
        #expect(broke(&machine, .http(429), .requeue, waits: [60, 60, 0]) == .requeue && machine.next == 2)
        #expect(broke(&machine, .http(429), .requeue, waits: [60, 60, 60]) == .requeue && machine.next == 2)
    }

    @Test func `the first length that was told holds for the others, until its mirror is dropped`() {
        var machine = machine()
        machine.measured(100)
        #expect(machine.expectedSize == nil)
        _ = broke(&machine, .truncated)
        #expect(machine.expectedSize == 100)
        machine.measured(90)
        #expect(machine.expectedSize == 100)
        _ = broke(&machine, .badLength)
        #expect(machine.live == [2, 0])
        machine.take(0)
        // It may have changed there.
        machine.measured(110)
        #expect(broke(&machine, .http(404)) == .requeue && machine.next == 2 && machine.expectedSize == nil)
    }

    @Test func `a wrong digest drops its mirror, and the last word is the last mirror's`() {
        func goesOn(_ machine: inout MirrorMachine, isPure: Bool = true, mayRepeat: Bool) -> Bool {
            machine.mismatched(JobError(.digestMismatch, "wrong"), isPure: isPure, mayRepeat: mayRepeat)
        }
        var machine = machine(2)
        #expect(goesOn(&machine, mayRepeat: true) && machine.next == 1)
        #expect(machine.live == [1])
        #expect(goesOn(&machine, mayRepeat: false) == false && machine.live.isEmpty)
        // Where two had a share nobody is dropped at once; and one that is alone is asked twice.
        var mixed = self.machine(2)
        #expect(goesOn(&mixed, isPure: false, mayRepeat: true) && mixed.live.count == 2)
        var alone = self.machine(2)
        _ = broke(&alone, .http(404))
        #expect(goesOn(&alone, mayRepeat: true) && alone.next == 1)
        #expect(goesOn(&alone, mayRepeat: false) == false)
    }

    @Test func `a host that is given up uses up its URLs and no others`() {
        let hosts = [Self.hosts[0], Self.hosts[0], Self.hosts[1]]
        var machine = MirrorMachine(hosts: hosts, record: nil, lane: Self.hosts[0])
        let error = JobError(.hostUnavailable, "dead")
        #expect(machine.gaveUp(Self.hosts[0], error) == Self.hosts[1] && machine.next == 2)
        #expect(machine.gaveUp(Self.hosts[1], error) == nil)
        #expect(machine.summary(error).message.contains("b.example: dead"))
    }

    @Test func `while its host is not asked the first other one by preference is`() {
        var machine = machine()
        #expect(machine.elsewhere { _ in true } == 1)
        #expect(machine.elsewhere { $0 == Self.hosts[2] } == 2)
        #expect(machine.elsewhere { _ in false } == nil)
        machine.take(2)
        #expect(machine.elsewhere { _ in true } == 0 && machine.record.failures.isEmpty)
    }

    @Test func `what is stored comes back, and nonsense does no harm`() {
        var machine = machine()
        _ = broke(&machine, .http(404))
        let again = MirrorMachine(hosts: Self.hosts, record: machine.record, lane: Self.hosts[1])
        #expect(again == machine)
        var odd = MirrorRecord()
        odd.next = -7
        odd.tried = [9, -1]
        odd.measured = 12
        odd.size = 5
        odd.failures = [.init(mirror: 99, code: "connect", message: "", isFinal: true)]
        let read = MirrorMachine(hosts: Self.hosts, record: odd, lane: Self.hosts[1])
        #expect(read.next == 1 && read.live.count == 3 && read.expectedSize == nil)
        // A lane that none of them is in: the first.
        #expect(MirrorMachine(hosts: Self.hosts, record: odd, lane: HostKey("x")).next == 0)
    }

    @Test func `what several brought together and is wrong is asked of the first alone, once`() {
        var machine = machine()
        machine.take(1)
        #expect(machine.helpers == [0, 2])
        machine.dropped(2, JobError(.http(404), "gone"))
        #expect(machine.helpers == [0] && machine.next == 1)
        let (once, twice) = (machine.unshared(), machine.unshared())
        #expect(once && !twice && machine.next == 0 && machine.helpers.isEmpty)
        // It is nobody's fault: both that are left may still be tried.
        #expect(machine.live == [0, 1])
        #expect(MirrorMachine(hosts: Self.hosts, record: machine.record, lane: Self.hosts[0]).helpers.isEmpty)
    }
}
