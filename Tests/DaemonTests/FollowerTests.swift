// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

@testable import Daemon
@testable import Transfer

/// Jobs that end as a live twin does.
@Suite struct FollowerTests {
    private let twin = DispatchRig.job(2, list: ListID(2))
    private var lane: LaneKey { twin.lane }

    /// Job 1 runs; job 2 follows it.
    private func rig() -> DispatchRig {
        let rig = DispatchRig()
        rig.arrive(DispatchRig.job(1))
        // The host has answered: a second job may start there.
        if let order = rig.orders.first {
            rig.loop.transferReported(
                .connected(worker: 0, token: order.token, isHTTP2: false, isUsable: true))
        }
        rig.arrive([(twin, .duplicate(of: JobSeq(1), ended: nil))])
        return rig
    }

    private func ends(_ rig: DispatchRig, of seq: Int64) -> Int {
        rig.changes.count { if case .ended(JobSeq(seq), _) = $0 { true } else { false } }
    }

    @Test func `a twin ends once, with its leader's outcome`() throws {
        let rig = rig()
        #expect(rig.loop.followed.count == 1)
        let order = try #require(rig.orders.first)
        rig.end(order, DispatchRig.failure(.http(404)), status: 404)
        rig.commit()
        rig.commit()
        #expect(ends(rig, of: 2) == 1)
        #expect(rig.loop.followed.isEmpty)
        #expect(rig.loop.followers.isEmpty)
        #expect(rig.loop.tasks.isEmpty)
    }

    @Test func `a twin that is read again is not followed twice`() throws {
        let rig = rig()
        rig.loop.ledgerReplied(.reread([lane]))
        rig.answerLanes(lane, [(twin, .duplicate(of: JobSeq(1), ended: nil))])
        rig.turn()
        #expect(rig.loop.followers[JobSeq(1)]?.count == 1)
    }

    @Test func `a twin does not wait for ever for a job that was cancelled while it waited`() throws {
        let rig = rig()
        rig.end(try #require(rig.orders.first), DispatchRig.failure(.stalled))
        rig.commit()
        rig.command(.cancel, .job(JobSeq(1), nil))
        let next = rig.loop.nextFollowerLook
        let look = try #require(next)
        #expect(look <= rig.loop.now + .seconds(1))
        rig.loop.letFollowersGo()
        #expect(rig.loop.followed.isEmpty)
        let outcome = DispatchRig.outcome(.cancelled)
        rig.answerLanes(lane, [(twin, .duplicate(of: JobSeq(1), ended: outcome))])
        rig.turn()
        #expect(ends(rig, of: 2) == 1)
    }

    @Test func `a twin stays while its leader is under way`() {
        let rig = rig()
        rig.loop.letFollowersGo()
        #expect(rig.loop.followed.count == 1)
        #expect(rig.loop.nextFollowerLook != nil)
    }

    @Test func `a twin that was cancelled by name is not ended once more`() throws {
        let rig = rig()
        rig.command(.cancel, .job(JobSeq(2), lane))
        rig.end(try #require(rig.orders.first), DispatchRig.failure(.http(404)), status: 404)
        rig.commit()
        rig.commit()
        #expect(ends(rig, of: 2) == 0)
    }

    @Test func `twins of a cancelled list are let go`() {
        let rig = rig()
        rig.command(.cancel, .list(ListID(2)))
        #expect(rig.loop.followed.isEmpty)
        #expect(rig.loop.followers.isEmpty)
    }
}
