// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

@testable import Daemon

/// Which of the dispatcher's requests wait for the disk before they are answered.
@Suite struct LastingRequestTests {
    private let seq = JobSeq(1)
    private func request(_ changes: JobChange...) -> LedgerRequest { .apply(changes, ticket: 1) }
    private var start: JobChange { .active(seq, attempts: 1, startedAt: WallTime(milliseconds: 1)) }
    private var publishing: JobChange {
        .publishing(
            seq, part: "1.part", path: OutputPath(trusted: "a"), device: 1, inode: 2, size: 3,
            outcome: DispatchRig.outcome())
    }
    private func ended(_ state: JobState, path: String? = "a", flags: [JobFlag] = []) -> JobChange {
        var outcome = DispatchRig.outcome(state)
        outcome.path = path.map { OutputPath(trusted: $0) }
        outcome.flags = flags
        return .ended(seq, outcome)
    }

    @Test func `what a rename stands on lasts, and what only it stands behind need not`() {
        #expect(request(publishing).mustLast)
        #expect(request(start, publishing).mustLast)
        #expect(!request(start).mustLast)
        #expect(!request(ended(.done)).mustLast)
        #expect(!request(start, ended(.done)).mustLast)
    }

    @Test func `an end that no publish leads to again lasts`() {
        #expect(request(ended(.failed)).mustLast)
        #expect(request(ended(.cancelled)).mustLast)
        #expect(request(ended(.done, path: nil)).mustLast)
        #expect(request(ended(.done, flags: [.skipped])).mustLast)
        #expect(request(ended(.done), ended(.failed)).mustLast)
    }

    @Test func `what is read need not last, what was asked for by somebody must`() {
        let lane = LaneKey(list: ListID(1), host: HostID(rawValue: 1))
        #expect(!LedgerRequest.jobs(lane, generation: 1, after: .start, limit: 1).mustLast)
        #expect(!LedgerRequest.lanes(ListID(1), after: nil, limit: 1, includesHeld: true).mustLast)
        #expect(LedgerRequest.releaseDue.mustLast)
        #expect(LedgerRequest.hold(HostKey("h"), until: nil, reason: nil).mustLast)
        #expect(LedgerRequest.suffix(seq, OutputPath(trusted: "a")).mustLast)
    }
}
