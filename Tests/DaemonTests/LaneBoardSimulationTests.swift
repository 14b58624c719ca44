// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

@testable import Daemon

/// Long runs against a plain model: what was admitted comes out once, and the board stays small.
@Suite struct LaneBoardSimulationTests {
    @Test func `ten thousand lanes and a million jobs pass through a small board`() {
        // The stand-in makes rows up as they are asked for: lane h holds seqs h * 100 + 1 up to h * 100 + 100.
        var board = LaneBoard(maxLanes: 256, maxJobs: 2048)
        let lanes: Int64 = 10_000, each: Int64 = 100
        var taken = [Int64](repeating: 0, count: Int(lanes))
        let list = ListID(1)
        board.wake(list)
        var count = 0
        var peakLanes = 0, peakJobs = 0
        func entries(_ host: Int64, after: Int64, limit: Int) -> [LaneBoard.Entry] {
            let first = max(after + 1, host * each + taken[Int(host)] + 1)
            let last = min(host * each + each + 1, first + Int64(limit))
            return first < last ? (first..<last).map { Self.entry($0, BoardRig.key(1, host)) } : []
        }
        while true {
            let requests = board.takeRequests()
            for request in requests {
                switch request {
                case .lanes(_, let after, let limit, _):
                    var rows: [LaneRow] = []
                    var host = (after?.rawValue ?? -1) + 1
                    while host < lanes, rows.count < limit {
                        if taken[Int(host)] < each {
                            rows.append(
                                LaneRow(
                                    key: BoardRig.key(1, host), host: BoardRig.name(host), queued: 1,
                                    heldUntil: nil,
                                    holdReason: nil))
                        }
                        host += 1
                    }
                    board.lanesArrived(list, rows, isLast: rows.count < limit)
                case .jobs(let key, let generation, let after, let limit):
                    let page = entries(key.host.rawValue, after: after.seq.rawValue, limit: limit)
                    board.jobsArrived(key, generation: generation, page, isLast: page.count < limit)
                }
            }
            var isMoving = !requests.isEmpty
            for _ in 0..<512 {
                guard let pick = board.next({ _ in .start }) else { break }
                let host = pick.job.lane.host.rawValue
                guard pick.job.seq.rawValue == host * each + taken[Int(host)] + 1 else {
                    Issue.record("job \(pick.job.seq) out of turn")
                    return
                }
                taken[Int(host)] += 1
                count += 1
                isMoving = true
            }
            if count % 8192 < 512 {
                peakLanes = max(peakLanes, board.residentLanes)
                peakJobs = max(peakJobs, board.residentJobs)
            }
            if !isMoving { break }
        }
        #expect(count == Int(lanes * each))
        #expect(peakLanes <= 257)
        #expect(peakJobs <= 4 * 2048)
        #expect(board.isEmpty)
    }

    private static func entry(_ seq: Int64, _ key: LaneKey) -> LaneBoard.Entry {
        let job = QueuedJob(
            seq: JobSeq(seq), id: JobID(rawValue: 1), lane: key, line: 1, rank: 0,
            work: .sum(SumRange(from: 0, to: 1)), options: .none, attempts: 0, fetchedBytes: 0,
            admittedAt: WallTime(milliseconds: 0), startedAt: nil, waited: 0, resume: nil)
        return LaneBoard.Entry(job: job, claim: .granted(known: nil))
    }

    @Test(arguments: [11, 12, 13, 14, 15, 16] as [UInt64])
    func `no job is lost and none is handed out twice, whatever happens`(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var rig = BoardRig(maxLanes: 6, maxJobs: 24)
        var caps = HostCaps(capacity: 2)
        var out: [LaneBoard.Pick] = []
        var admitted: Set<Int64> = []
        var ended: Set<Int64> = []
        for _ in 0..<4000 {
            switch Int.random(in: 0..<12, using: &random) {
            case 0:
                let list = Int64.random(in: 1...5, using: &random),
                    host = Int64.random(in: 1...12, using: &random)
                let rank = Int.random(in: -1...1, using: &random)
                let count = Int.random(in: 1...6, using: &random)
                admitted.formUnion(rig.admit(list: list, host: host, count: count, rank: rank))
                rig.board.wake(ListID(list), lowestRank: rank, lanes: [BoardRig.key(list, host)])
            case 1...4: rig.answerAll()
            case 5...8:
                if let pick = rig.next({ caps.verdict($0) }) {
                    #expect(!ended.contains(pick.job.seq.rawValue))
                    #expect(!out.contains { $0.job.seq == pick.job.seq })
                    caps.started(pick.host)
                    out.append(pick)
                }
            case 9...10:
                guard let index = out.indices.randomElement(using: &random) else { continue }
                let pick = out.remove(at: index)
                caps.ended(pick.host)
                if Int.random(in: 0..<5, using: &random) == 0 {
                    rig.giveBack(pick.job.seq.rawValue, to: pick.job.lane, rank: pick.job.rank)
                    rig.board.reread(pick.job.lane)
                } else {
                    ended.insert(pick.job.seq.rawValue)
                }
                rig.board.hostFreed(pick.host, slots: caps.free(pick.host))
            default:
                let list = ListID(Int64.random(in: 1...5, using: &random))
                rig.board.remove(list)
                rig.board.wake(list)
            }
            #expect(rig.board.residentLanes <= 6 + 5)
        }
        finish(&rig, &caps, &out, &ended)
        #expect(ended == admitted)
        #expect(rig.board.isEmpty)
    }

    /// Ends what is out and goes on until nothing moves; no further wake or reread.
    private func finish(
        _ rig: inout BoardRig, _ caps: inout HostCaps, _ out: inout [LaneBoard.Pick],
        _ ended: inout Set<Int64>
    ) {
        while true {
            var isMoving = rig.answerAll()
            while let pick = rig.next({ caps.verdict($0) }) {
                caps.started(pick.host)
                out.append(pick)
                isMoving = true
            }
            if !out.isEmpty {
                let pick = out.removeFirst()
                caps.ended(pick.host)
                ended.insert(pick.job.seq.rawValue)
                rig.board.hostFreed(pick.host, slots: caps.free(pick.host))
                isMoving = true
            }
            if !isMoving { return }
        }
    }

    /// What is out at each host.
    private struct HostCaps {
        let capacity: Int
        private var active: [HostKey: Int] = [:]
        init(capacity: Int) { self.capacity = capacity }
        func verdict(_ host: HostKey) -> HostMachine.Verdict { free(host) > 0 ? .start : .full(.hostLimit) }
        func free(_ host: HostKey) -> Int { capacity - (active[host] ?? 0) }
        mutating func started(_ host: HostKey) { active[host, default: 0] += 1 }
        mutating func ended(_ host: HostKey) { active[host, default: 0] -= 1 }
    }
}
