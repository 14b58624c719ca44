// SPDX-License-Identifier: Apache-2.0

import Config
import ControlAPI
import JobModel
import LinuxKit
import TestKit
import Testing

@testable import Daemon
@testable import Transfer

/// Holds, breakers and hosts that are given up, as the dispatcher carries them out.
@Suite struct HostCourtesyTests {
    private let host = DispatchRig.host

    private func failure(
        _ code: ErrorCode, retryAfter: Duration? = nil, isConnect: Bool = false, isUncharged: Bool = false
    ) -> TransferResult {
        var failure = TransferFailure(JobError(code, "x"))
        failure.retryAfter = retryAfter
        failure.isConnectFailure = isConnect
        failure.isUncharged = isUncharged
        return .failed(failure)
    }
    private func arrive(_ rig: DispatchRig, _ seqs: ClosedRange<Int64>) {
        rig.arrive(seqs.map { (DispatchRig.job($0), .granted(known: nil)) })
    }
    /// The scout's head comes.
    private func open(_ rig: DispatchRig, isHTTP2: Bool = false) throws {
        let scout = try #require(rig.orders.first)
        rig.loop.transferReported(
            .connected(worker: 0, token: scout.token, isHTTP2: isHTTP2, isUsable: true))
        rig.turn()
    }
    private func rests(_ rig: DispatchRig) -> [(isWaiting: Bool, attempts: Int)] {
        rig.changes.compactMap {
            switch $0 {
            case .waiting(_, _, let attempts, _, _, _, _): (true, attempts)
            case .requeued(_, let attempts, _, _, _): (false, attempts)
            default: nil
            }
        }
    }
    private func surrenders(_ rig: DispatchRig) -> [JobError] {
        rig.ledger.compactMap { if case .giveUp(_, let error) = $0 { error } else { nil } }
    }
    private func lanes(_ rig: DispatchRig, heldFor: Duration?, barren: Duration) {
        let wall = WallTime(milliseconds: WallClock.milliseconds())
        let row = LaneRow(
            key: DispatchRig.lane, host: host, queued: 1, heldUntil: heldFor.map { wall + $0 },
            holdReason: heldFor.map { _ in "http_429" }, barren: barren)
        rig.loop.board.wake(DispatchRig.list)
        _ = rig.loop.board.takeRequests()
        rig.loop.ledgerReplied(.lanes(DispatchRig.list, [row], isLast: true))
    }

    @Test func `a herd that meets 429 is one hold, and costs nobody an attempt`() throws {
        let rig = DispatchRig()
        arrive(rig, 1...8)
        try open(rig)
        #expect(rig.orders.count == 6)
        for order in rig.orders.prefix(4) {
            rig.end(order, failure(.http(429), retryAfter: .seconds(100)), status: 429)
        }
        #expect(rests(rig).map(\.isWaiting) == [true, false, false, false])
        #expect(rests(rig).map(\.attempts) == [0, 0, 0, 0])
        #expect(rig.loop.hosts[host]?.machine.refusals == 1)
        rig.turn()
        #expect(rig.orders.count == 2, "nothing new starts; what runs goes on")
        #expect(rig.loop.hosts[host]?.machine.capacity == 3)
    }

    @Test func `when a hold ends one scout goes, and the others only after its answer`() throws {
        let rig = DispatchRig()
        arrive(rig, 1...8)
        rig.end(
            try #require(rig.orders.first), failure(.http(503), retryAfter: .milliseconds(1)), status: 503)
        try eventually("the hold ends") {
            rig.turn()
            return !rig.orders.isEmpty
        }
        rig.turn()
        #expect(rig.orders.count == 1)
        try open(rig)
        #expect(rig.orders.count > 1)
    }

    @Test func `a dead host charges its scouts only, and each time another job's`() throws {
        let rig = DispatchRig { $0.retry.baseDelay = .milliseconds(5) }
        arrive(rig, 1...5)
        var scouts: [JobSeq] = []
        for _ in 1...3 {
            try eventually("a scout goes") {
                rig.turn()
                return !rig.orders.isEmpty
            }
            #expect(rig.orders.count == 1)
            let scout = try #require(rig.orders.first)
            scouts.append(scout.seq)
            rig.end(scout, failure(.connect, isConnect: true))
        }
        #expect(Set(scouts).count == 3)
        #expect(rests(rig).allSatisfy { $0.isWaiting && $0.attempts == 1 })
        #expect(rig.loop.hosts[host]?.machine.isBreakerOpen == true)
        // Nobody is called a second time while others are left; when it serves, all are.
        let calls = { rig.ledger.count { if case .hurry = $0 { true } else { false } } }
        #expect(calls() == 0)
        try eventually("a scout goes") {
            rig.turn()
            return !rig.orders.isEmpty
        }
        rig.end(try #require(rig.orders.first), .complete(DispatchRig.part), status: 200)
        #expect(calls() == 1)
    }

    @Test func `GOAWAY for many streams is followed by one scout that waits for nobody`() throws {
        let rig = DispatchRig(workers: 1)
        rig.arrive(
            (1...7).map { (DispatchRig.job($0, url: "https://h.example/\($0)"), .granted(known: nil)) })
        try open(rig, isHTTP2: true)
        #expect(rig.orders.count == 7)
        #expect(rig.orders.dropFirst().allSatisfy { $0.waitsForMultiplex })
        for order in rig.orders { rig.end(order, failure(.truncated, isUncharged: true)) }
        #expect(rests(rig).allSatisfy { $0.attempts == 0 })
        rig.commit()
        rig.arrive(
            (1...7).map { (DispatchRig.job($0, url: "https://h.example/\($0)"), .granted(known: nil)) })
        #expect(rig.orders.count == 1)
        #expect(rig.orders.first?.waitsForMultiplex == false)
        try open(rig, isHTTP2: true)
        #expect(rig.orders.count == 7)
    }

    @Test func `a job that alone is refused ends though the server gives times`() throws {
        let rig = DispatchRig { $0.retry.maxAttempts = 2 }
        var attempts = 0
        for round in 0..<4 {
            rig.loop.hosts[host]?.machine.release()
            rig.arrive(DispatchRig.job(1, attempts: attempts))
            let order = try #require(rig.orders.first)
            rig.end(order, failure(.http(503), retryAfter: .seconds(9)), status: 503)
            rig.commit()
            if case .ended(_, let outcome)? = rig.changes.last {
                #expect(outcome.error?.code == .http(503))
                #expect(round == 2)
                return
            }
            attempts = rests(rig).last?.attempts ?? 0
            // Others are served meanwhile.
            rig.loop.hosts[host]?.machine.release()
            let seq = Int64(100 + round)
            arrive(rig, seq...seq)
            rig.end(try #require(rig.orders.first), .complete(DispatchRig.part), status: 200)
        }
        Issue.record("refused for ever")
    }

    @Test func `a host that gave nothing for so long is given up with all its jobs`() throws {
        let rig = DispatchRig {
            $0.hosts.defaults.giveUp = .milliseconds(40)
            $0.retry.baseDelay = .seconds(10)
        }
        arrive(rig, 1...4)
        rig.end(try #require(rig.orders.first), failure(.dns, isConnect: true))
        #expect(surrenders(rig).isEmpty)
        try eventually("the host is given up") {
            rig.turn()
            return !surrenders(rig).isEmpty
        }
        #expect(surrenders(rig).first?.code == .hostUnavailable)
        #expect(surrenders(rig).first?.message.contains("h.example gave nothing usable") == true)
        rig.loop.hosts[host]?.machine.release()
        rig.turn()
        #expect(rig.orders.isEmpty, "nothing starts while its jobs are being failed")
        rig.loop.ledgerReplied(.gaveUp(host, failed: 3, isComplete: true))
        #expect(rig.loop.view.metrics.hostUnavailable == 3)
        #expect(rig.loop.hosts[host]?.isGivingUp == false)
    }

    @Test func `a pause does not count, and any answer begins anew`() throws {
        let rig = DispatchRig { $0.retry.baseDelay = .seconds(10) }
        arrive(rig, 1...3)
        rig.end(try #require(rig.orders.first), failure(.connect, isConnect: true))
        rig.turn()
        let entry = try #require(rig.loop.hosts[host])
        #expect(entry.barren.isRunning)
        rig.loop.ledgerReplied(.trouble("locked"))
        rig.turn()
        #expect(!entry.barren.isRunning)
        let counted = entry.barren.total(now: .distantFuture)
        rig.loop.ledgerReplied(.trouble(nil))
        rig.turn()
        #expect(entry.barren.isRunning)
        #expect(entry.barren.total(now: rig.loop.now) >= counted)
        entry.machine.release()
        rig.loop.freed(host)
        rig.turn()
        rig.end(try #require(rig.orders.first), DispatchRig.failure(.http(404)), status: 404)
        #expect(entry.barren.total(now: rig.loop.now) == .zero)
        #expect(rig.loop.barrenHosts.isEmpty)
    }

    @Test func `nothing counts while nobody waits`() throws {
        let rig = DispatchRig { $0.hosts.defaults.giveUp = .milliseconds(20) }
        arrive(rig, 1...1)
        rig.end(try #require(rig.orders.first), failure(.connect, isConnect: true))
        rig.command(.pause, .list(DispatchRig.list))
        rig.commit()
        let entry = try #require(rig.loop.hosts[host])
        try eventually("the clock stands") {
            rig.turn()
            return !entry.barren.isRunning
        }
        #expect(surrenders(rig).isEmpty)
    }

    @Test func `what an earlier run counted goes on`() throws {
        let rig = DispatchRig()
        lanes(rig, heldFor: .seconds(60), barren: .seconds(86_390))
        let entry = try #require(rig.loop.hosts[host])
        #expect(entry.barren.total(now: rig.loop.now) == .seconds(86_390))
        #expect(entry.machine.isHeld(now: rig.loop.now))
        #expect(entry.machine.needsScout)
        #expect(rig.loop.barrenHosts == [host])
    }

    @Test func `a hold stores what was counted with it`() throws {
        let rig = DispatchRig { $0.retry.baseDelay = .milliseconds(3) }
        arrive(rig, 1...3)
        for _ in 0..<2 {
            try eventually("a scout goes") {
                rig.turn()
                return !rig.orders.isEmpty
            }
            rig.end(try #require(rig.orders.first), failure(.connect, isConnect: true))
        }
        let stored = rig.ledger.contains { if case .barren(_, let time) = $0 { time > .zero } else { false } }
        #expect(stored)
    }

    @Test func `a release lifts hold and breaker, queues what waits and begins the time anew`() throws {
        let rig = DispatchRig { $0.retry.baseDelay = .seconds(10) }
        arrive(rig, 1...2)
        rig.end(try #require(rig.orders.first), failure(.connect, isConnect: true))
        rig.turn()
        #expect(rig.orders.isEmpty)
        rig.ledger = []
        rig.command(.resume, .host(host))
        let isHurried = rig.ledger.contains { if case .hurry = $0 { true } else { false } }
        #expect(isHurried)
        #expect(rig.loop.barrenHosts.isEmpty)
        rig.turn()
        #expect(rig.orders.count == 1, "the scout goes at once")
    }

    @Test func `a job redirected to a held host rests uncharged, and does not fill the window`() throws {
        let rig = DispatchRig()
        rig.loop.hold(HostKey("cdn.example"), for: .seconds(60), reason: "connect")
        arrive(rig, 1...1)
        rig.end(
            try #require(rig.orders.first), .redirect(location: "http://cdn.example/b"), status: 302)
        #expect(rests(rig).map(\.isWaiting) == [true])
        #expect(rests(rig).map(\.attempts) == [0])
        rig.commit()
        #expect(rig.loop.tasks.isEmpty)
    }

    @Test func `a quota that is used up holds the host after a success`() throws {
        let rig = DispatchRig()
        arrive(rig, 1...2)
        let order = try #require(rig.orders.first)
        var report = TransferReport(
            token: order.token, seq: order.seq, worker: 0, result: .complete(DispatchRig.part))
        report.response.httpStatus = 200
        report.response.quotaReset = .seconds(30)
        rig.loop.transferReported(.finished(report))
        rig.orders = []
        rig.turn()
        #expect(rig.orders.isEmpty)
        #expect(rig.loop.hosts[host]?.machine.holdReason == "rate_limit")
        #expect(rig.loop.barrenHosts.isEmpty, "it serves")
    }

    @Test func `a host that only redirects lead to is held after a restart as before`() throws {
        let target = HostKey("mirror.example")
        let until = WallTime(milliseconds: WallClock.milliseconds()) + .seconds(600)
        let rig = DispatchRig(heldHosts: [
            HeldHost(host: target, until: until, reason: "http_429", barren: .seconds(30))
        ])
        #expect(rig.loop.hosts[target]?.machine.holdReason == "http_429")
        #expect(rig.loop.hosts[target]?.barren.total(now: rig.loop.now) ?? .zero >= .seconds(30))
        rig.arrive(DispatchRig.job(1))
        rig.end(
            try #require(rig.orders.first), .redirect(location: "http://mirror.example/a"), status: 302)
        rig.turn()
        #expect(rig.orders.isEmpty)
    }

    @Test func `dld get waits for no host longer than its user would`() {
        let rig = DispatchRig(hostPatience: .seconds(300)) {
            $0.hosts.defaults.giveUp = nil
        }
        #expect(rig.loop.plan.giveUp(for: host) == .seconds(300))
        #expect(rig.loop.plan.uplink.giveUp == nil)
        #expect(DispatchRig().loop.plan.giveUp(for: host) == .seconds(86_400))
    }
}
