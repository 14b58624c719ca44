// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

@Suite struct RetryPolicyTests {
    typealias Verdict = RetryPolicy.Verdict

    private func policy(max: Int = 5) -> RetryPolicy {
        RetryPolicy(maxAttempts: max, baseDelay: .seconds(1), maxDelay: .seconds(600))
    }
    private func verdict(
        _ code: ErrorCode, _ blame: BrokenAttempt.Blame = .job, attempts: Int = 1,
        retryAfter: Duration? = nil,
        random: Double = 0.5, max: Int = 5, left: Duration? = nil
    ) -> Verdict {
        let deadline = left.map { BrokenAttempt.Deadline(limit: .seconds(90), left: $0) }
        return policy(max: max).verdict(
            for: BrokenAttempt(
                JobError(code, "x"), blame: blame, attempts: attempts, retryAfter: retryAfter,
                deadline: deadline),
            random: random)
    }
    private func isGivenUp(_ verdict: Verdict) -> Bool {
        if case .giveUp = verdict.fate { true } else { false }
    }
    private func news(_ rounds: Int = 1, isFirst: Bool = true, isOwn: Bool = false) -> BrokenAttempt.HostNews
    {
        BrokenAttempt.HostNews(rounds: rounds, isFirst: isFirst, isOwn: isOwn)
    }

    @Test(arguments: ErrorCode.fixed + [.http(404), .http(403), .http(301), .http(999)])
    func `what cannot get better is given up at once`(code: ErrorCode) {
        let isFinal = !code.isRetryable || code == .hostUnavailable || code == .jobDeadline
        #expect(isGivenUp(verdict(code)) == isFinal)
        #expect(verdict(code).hold == nil && verdict(code).isCharged)
    }

    @Test(arguments: [
        (1, 500), (2, 1000), (3, 2000), (4, 4000), (11, 300_000), (1000, 300_000), (0, 500), (-5, 500),
    ])
    func `back-off doubles up to its ceiling`(attempts: Int, milliseconds: Int64) {
        let fate = verdict(.stalled, attempts: attempts, max: 0).fate
        #expect(fate == .retry(after: .milliseconds(milliseconds)))
    }

    @Test func `attempts run out`() {
        #expect(!isGivenUp(verdict(.stalled, attempts: 4)))
        #expect(isGivenUp(verdict(.stalled, attempts: 5)))
        #expect(!isGivenUp(verdict(.stalled, attempts: .max, max: 0)))
        #expect(isGivenUp(verdict(.protocol, attempts: 3, max: 0)))
    }

    @Test(arguments: [-1, 0, 1, 2, Double.nan, .infinity, -.infinity])
    func `a bad draw does no harm`(random: Double) {
        guard case .retry(let after) = verdict(.stalled, random: random).fate else {
            Issue.record("gave up")
            return
        }
        #expect(after >= .zero && after <= .seconds(1))
    }

    @Test(arguments: [Duration.seconds(-5), .zero, .seconds(1 << 62), .seconds(Int64.min), .milliseconds(1)])
    func `odd durations never trap`(duration: Duration) {
        var odd = RetryPolicy(maxAttempts: -3, baseDelay: duration, maxDelay: duration)
        odd.hostBaseDelay = duration
        let blames: [BrokenAttempt.Blame] = [
            .job, .machine, .awaited(duration), .unreachable(news(.max)), .refused(news(.min)),
            .sentAway(news()),
        ]
        for blame in blames {
            let broken = BrokenAttempt(
                JobError(.connect, "x"), blame: blame, attempts: 40, retryAfter: duration,
                deadline: .init(limit: duration, left: duration))
            _ = odd.verdict(for: broken, random: 0.99)
        }
    }

    @Test func `Retry-After is respected, clamped and stretched`() {
        func after(_ code: ErrorCode, _ asked: Duration?, _ random: Double) -> RetryPolicy.Fate {
            verdict(code, retryAfter: asked, random: random).fate
        }
        #expect(after(.http(500), .seconds(2), 0) == .retry(after: .seconds(2)))
        #expect(after(.http(500), .seconds(100), 0.5) == .retry(after: .seconds(105)))
        #expect(after(.http(500), .seconds(1 << 40), 0) == .retry(after: .seconds(3600)))
        #expect(after(.http(500), .milliseconds(1), 0.9) == .retry(after: .milliseconds(901)))
    }

    @Test func `429 with a time holds the host and charges nobody`() {
        let first = verdict(.http(429), .refused(news()), attempts: 5, retryAfter: .seconds(100), random: 0)
        #expect(first.hold == .seconds(100) && !first.isCharged)
        #expect(first.fate == .retry(after: .seconds(100)))
        let long = verdict(.http(503), .refused(news()), retryAfter: .seconds(1 << 40), random: 0)
        #expect(long.hold == .seconds(3600))
    }

    @Test func `503 without a time charges who met it first, for a list must end`() {
        let first = verdict(.http(503), .refused(news()), random: 1)
        #expect(first.hold == .seconds(1) && first.isCharged)
        #expect(first.fate == .retry(after: .seconds(2)))
        #expect(isGivenUp(verdict(.http(503), .refused(news()), attempts: 5)))
        #expect(verdict(.http(503), .refused(news()), attempts: 5).hold != nil)
        #expect(verdict(.http(503), .refused(news(4)), random: 1).hold == .seconds(8))
    }

    @Test func `a job that is refused while others are served is charged though a time was given`() {
        let own = verdict(.http(503), .refused(news(isOwn: true)), retryAfter: .seconds(1))
        #expect(own.isCharged)
        #expect(
            isGivenUp(verdict(.http(503), .refused(news(isOwn: true)), attempts: 5, retryAfter: .seconds(1))))
    }

    @Test func `what was under way beside the first is queued again, uncharged`() {
        for blame in [BrokenAttempt.Blame.refused(news(isFirst: false)), .unreachable(news(isFirst: false))] {
            let verdict = verdict(.timeout, blame, attempts: 5)
            #expect(verdict.fate == .requeue && !verdict.isCharged && verdict.hold == nil)
        }
        let longer = verdict(.http(429), .refused(news(isFirst: false)), retryAfter: .seconds(60), random: 0)
        #expect(longer.hold == .seconds(60), "a longer wish of a late answer counts")
    }

    @Test func `a scout that cannot connect is charged, holds the host and comes back after the hold`() {
        let first = verdict(.connect, .unreachable(news()), random: 1)
        #expect(first.hold == .seconds(1) && first.isCharged)
        #expect(first.fate == .retry(after: .seconds(2)))
        let tenth = verdict(.connect, .unreachable(news(11)), random: 0)
        #expect(tenth.hold == .seconds(450), "three quarters of the longest at least")
        #expect(verdict(.connect, .unreachable(news(1000)), random: 1).hold == .seconds(600))
        let last = verdict(.connect, .unreachable(news(5)), attempts: 5)
        #expect(isGivenUp(last) && last.hold != nil)
        #expect(verdict(.dns, .unreachable(news()), random: 1).hold == .seconds(8))
        let bad = verdict(.tlsVerify, .unreachable(news()))
        #expect(isGivenUp(bad) && bad.hold == nil)
    }

    @Test func `a scout with others behind it rests until they had their turn`() {
        let host = BrokenAttempt.HostNews(rounds: 1, isFirst: true, hasOthers: true)
        #expect(verdict(.connect, .unreachable(host)).fate == .retry(after: .seconds(86_400)))
        #expect(verdict(.connect, .unreachable(host)).hold! < .seconds(2))
        #expect(verdict(.http(503), .refused(host)).fate == .retry(after: .seconds(86_400)))
        let timed = verdict(.http(503), .refused(host), retryAfter: .seconds(9), random: 0)
        #expect(timed.fate == .retry(after: .seconds(9)), "uncharged: it loses nothing by another turn")
        let bounded = verdict(.connect, .unreachable(host), left: .seconds(60))
        #expect(bounded.fate == .retry(after: .seconds(60)))
    }

    @Test func `GOAWAY and REFUSED_STREAM charge nothing, unless they meet one job only`() {
        let away = verdict(.truncated, .sentAway(news()), attempts: 5)
        #expect(away.fate == .retry(after: .seconds(1)) && !away.isCharged && away.hold == nil)
        #expect(isGivenUp(verdict(.truncated, .sentAway(news(isOwn: true)), attempts: 5)))
    }

    @Test func `the disk is waited for, and memory for a moment`() {
        let disk = verdict(.disk, .machine, attempts: 5)
        #expect(disk.fate == .requeue && disk.pausesForDisk && !disk.isCharged)
        let memory = verdict(.oom, .machine, attempts: 5)
        #expect(memory.fate == .retry(after: .seconds(1)) && !memory.pausesForDisk && !memory.isCharged)
        #expect(isGivenUp(verdict(.pathConflict, .machine)))
    }

    @Test func `a wait beyond the job's deadline ends it`() {
        guard case .giveUp(let error) = verdict(.stalled, left: .milliseconds(400)).fate else {
            Issue.record("waits on")
            return
        }
        #expect(error.code == .jobDeadline && error.message == "not done within 1m30s")
        let held = verdict(.http(429), .refused(news()), retryAfter: .seconds(60), left: .seconds(5))
        #expect(isGivenUp(held) && held.hold != nil)
        #expect(isGivenUp(verdict(.connect, .awaited(.seconds(60)), left: .seconds(5))))
    }

    @Test func `what a list sets for its own waits does not shorten a host's hold`() {
        var own = policy()
        own.hostBaseDelay = .seconds(1)
        own.baseDelay = .zero
        let broken = BrokenAttempt(JobError(.connect, "x"), blame: .unreachable(news()), attempts: 1)
        #expect(own.verdict(for: broken, random: 1).hold == .seconds(1))
    }
}
