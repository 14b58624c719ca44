// SPDX-License-Identifier: Apache-2.0

import Config
import JobModel
import LinuxKit
import Testing

@testable import Daemon
@testable import Transfer

/// A job at each of several hosts, all of them out.
@Suite struct DispatchUplinkTests {
    private static func failure(_ sign: UplinkSign) -> TransferResult {
        var failure = TransferFailure(JobError(.timeout, "x"))
        failure.isConnectFailure = true
        failure.uplink = sign
        return .failed(failure)
    }

    private func rig(hosts: Int = 6) -> DispatchRig {
        let rig = DispatchRig { $0.retry.maxAttempts = 1 }
        for number in 1...Int64(hosts) {
            let host = HostKey("h\(number).example")
            var job = DispatchRig.job(number, url: "http://\(host)/a", host: host)
            job.lane = LaneKey(list: DispatchRig.list, host: HostID(rawValue: number))
            rig.arrive([(job, .granted(known: nil))], host: host)
        }
        rig.changes = []
        return rig
    }

    /// All lanes of the list at once, as the ledger gives them when it is read again.
    private func arriveAgain(_ rig: DispatchRig, hosts: Int64) {
        func host(_ number: Int64) -> HostKey { HostKey("h\(number).example") }
        func lane(_ number: Int64) -> LaneKey {
            LaneKey(list: DispatchRig.list, host: HostID(rawValue: number))
        }
        rig.loop.board.wake(DispatchRig.list)
        for _ in 0..<3 {
            for request in rig.loop.board.takeRequests() {
                switch request {
                case .lanes(let list, _, _, _):
                    let rows = (1...hosts).map {
                        LaneRow(key: lane($0), host: host($0), queued: 1, heldUntil: nil, holdReason: nil)
                    }
                    rig.loop.ledgerReplied(.lanes(list, rows, isLast: true))
                case .jobs(let key, let generation, _, _):
                    let number = key.host.rawValue
                    var job = DispatchRig.job(number, url: "http://\(host(number))/a", host: host(number))
                    job.lane = key
                    let entry = LaneBoard.Entry(job: job, claim: .granted(known: nil))
                    rig.loop.ledgerReplied(.jobs(key, generation: generation, [entry], isLast: true))
                }
            }
        }
        rig.turn()
    }

    private func requeued(_ rig: DispatchRig) -> [Int] {
        rig.changes.compactMap { if case .requeued(_, let attempts, _, _, _) = $0 { attempts } else { nil } }
    }
    private func failed(_ rig: DispatchRig) -> Int {
        rig.changes.count { if case .ended(_, let outcome) = $0 { outcome.state == .failed } else { false } }
    }

    /// Time passes for the uplink alone.
    private func pass(_ seconds: Int64, _ rig: DispatchRig) {
        rig.loop.now = rig.loop.now + .seconds(seconds)
        rig.loop.lookAtUplink()
        rig.commit()
    }

    @Test func `jobs with one attempt only outlive a dead uplink, and nobody is charged`() {
        let rig = rig()
        #expect(rig.orders.count == 6)
        for order in rig.orders { rig.end(order, Self.failure(.noAnswer)) }
        #expect(rig.changes.isEmpty && rig.loop.uplink.doubts.count == 6)
        pass(30, rig)
        #expect(requeued(rig) == [0, 0, 0, 0, 0, 0])
        #expect(rig.loop.pauseReason?.0 == .network)
        #expect(rig.loop.pauseReason?.1.hasPrefix("network down since ") == true)
        rig.commit()
        #expect(rig.loop.tasks.isEmpty && rig.loop.uplink.doubts.isEmpty)
        // No host was held for it: all may go on at once when the network is back.
        #expect(!rig.ledger.contains { if case .hold = $0 { true } else { false } })
    }

    @Test func `an answer from anywhere charges what was doubted`() {
        let rig = rig()
        for order in rig.orders.dropLast() { rig.end(order, Self.failure(.noAnswer)) }
        #expect(failed(rig) == 0)
        rig.loop.now = rig.loop.now + .seconds(1)
        rig.end(rig.orders[0], .failed(TransferFailure(JobError(.http(404), "x"))), status: 404)
        #expect(failed(rig) == 1)
        let last = JobSeq(6)
        #expect(rig.changes.contains { $0.seq == last })
        rig.loop.uplinkProved(lag: .zero)
        rig.commit()
        #expect(failed(rig) == 6 && rig.loop.uplink.doubts.isEmpty)
    }

    @Test func `with few hosts at work a failure is charged at once`() {
        let rig = rig(hosts: 4)
        rig.end(rig.orders[0], Self.failure(.noAnswer))
        #expect(failed(rig) == 1 && rig.loop.uplink.doubts.isEmpty)
    }

    @Test func `a doubted job can be cancelled, and stopped`() {
        let rig = rig()
        for order in rig.orders { rig.end(order, Self.failure(.stalled)) }
        rig.command(.cancel, .job(JobSeq(2), nil))
        rig.loop.stopTransfers(within: .seconds(1))
        rig.commit()
        #expect(requeued(rig) == [0, 0, 0, 0, 0])
        #expect(
            rig.changes.contains {
                if case .ended(JobSeq(2), let end) = $0 { end.state == .cancelled } else { false }
            })
        pass(60, rig)
        #expect(rig.loop.tasks.isEmpty && rig.loop.uplink.doubts.isEmpty)
    }

    @Test func `while the network is down one probe goes out, and its answer lets all go on`() {
        let rig = rig()
        for order in rig.orders { rig.end(order, Self.failure(.noAnswer)) }
        pass(30, rig)
        rig.commit()
        arriveAgain(rig, hosts: 6)
        #expect(rig.orders.isEmpty)
        pass(40, rig)
        for _ in 0..<3 {
            rig.loop.startJobs()
            rig.commit()
        }
        guard rig.orders.count == 1 else { return #expect(rig.orders.count == 1) }
        rig.loop.now = rig.loop.now + .seconds(1)
        rig.loop.transferReported(
            .connected(worker: 0, token: rig.orders[0].token, isHTTP2: false, isUsable: true))
        #expect(rig.loop.pauseReason == nil)
        rig.turn()
        #expect(rig.orders.count == 6)
    }

    @Test func `a missing output beside a dead uplink lets the loop sleep`() {
        let rig = rig()
        for order in rig.orders { rig.end(order, Self.failure(.noAnswer)) }
        pass(30, rig)
        rig.commit()
        var report = DiskReport()
        report.places = [DiskReport.Place(role: .output, path: "/out", missing: "/out is not mounted")]
        rig.loop.disksReported(report)
        for seconds: Int64 in [1, 40, 80] {
            pass(seconds, rig)
            rig.loop.startJobs()
            #expect(rig.orders.isEmpty)
            #expect(rig.loop.uplink.machine.nextLook.map { $0 > rig.loop.now } ?? false)
        }
        rig.read(free: 1 << 40)
        pass(40, rig)
        #expect(rig.loop.uplink.machine.isProbeDue(now: rig.loop.now))
    }

    @Test func `after give_up the silence counts against each host that is met`() {
        let rig = rig()
        for order in rig.orders { rig.end(order, Self.failure(.noAnswer)) }
        pass(30, rig)
        rig.commit()
        pass(86_400, rig)
        #expect(rig.loop.pauseReason == nil && rig.loop.uplink.machine.blamedSince != nil)
        rig.arrive(DispatchRig.job(9))
        guard let order = rig.orders.first else { return #expect(!rig.orders.isEmpty) }
        rig.loop.now = rig.loop.now + .seconds(86_500)
        rig.end(order, Self.failure(.noAnswer))
        let silent = rig.loop.hosts[DispatchRig.host]?.barren.total(now: rig.loop.now) ?? .zero
        #expect(silent >= .seconds(86_400))
    }
}
