// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

@testable import Daemon
@testable import Transfer

/// Jobs that were under way in crashes, once they run one at a time.
@Suite struct SuspectTests {
    private func suspect(
        _ seq: Int64, list: Int64 = 1, host: String = "h.example", options: JobOptions = JobOptions()
    ) -> QueuedJob {
        var job = DispatchRig.job(
            seq, url: "http://\(host)/a", host: HostKey(host), list: ListID(list), options: options)
        job.crashes = 1
        return job
    }
    private func arrive(_ rig: DispatchRig, _ job: QueuedJob, host: String = "h.example") {
        rig.arrive([(job, .granted(known: nil))], host: HostKey(host))
    }
    private func running(_ rig: DispatchRig) -> [Int64] { rig.orders.map(\.seq.rawValue) }

    @Test func `one that waits for room on the disk does not keep the others waiting`() {
        let rig = DispatchRig(mostCrashes: 2)
        rig.read(free: 1 << 30)
        var large = JobOptions()
        large.size = 1 << 40
        arrive(rig, suspect(1, options: large))
        #expect(running(rig).isEmpty)
        arrive(rig, suspect(2, list: 2))
        #expect(running(rig) == [2])
    }

    @Test func `one that follows its twin does not keep the others waiting`() {
        let rig = DispatchRig(mostCrashes: 2)
        rig.arrive([(suspect(1), .duplicate(of: JobSeq(99), ended: nil))])
        arrive(rig, suspect(2, list: 2))
        #expect(running(rig) == [2])
    }

    @Test func `one whose host is held does not keep those of other hosts waiting`() throws {
        let rig = DispatchRig(mostCrashes: 2)
        arrive(rig, suspect(1))
        arrive(rig, suspect(2, list: 2, host: "slow.example"), host: "slow.example")
        arrive(rig, suspect(3, list: 3, host: "good.example"), host: "good.example")
        #expect(running(rig) == [1])
        rig.loop.hold(HostKey("slow.example"), for: .seconds(600), reason: "http_429")
        rig.end(try #require(rig.orders.first), DispatchRig.failure(.http(404)), status: 404)
        rig.commit()
        rig.turn()
        #expect(running(rig) == [3])
    }

    @Test func `those of a paused list are let go of, and come back with it`() throws {
        let rig = DispatchRig(mostCrashes: 2)
        arrive(rig, suspect(1))
        arrive(rig, suspect(2, list: 2))
        rig.command(.pause, .list(ListID(2)))
        rig.loop.ledgerReplied(.lists([DispatchRig.row(ListID(2), isPaused: false)]))
        rig.end(try #require(rig.orders.first), DispatchRig.failure(.http(404)), status: 404)
        rig.commit()
        arrive(rig, suspect(2, list: 2))
        #expect(running(rig) == [2])
    }
}
