// SPDX-License-Identifier: Apache-2.0

import JobModel
import Ledger
import LinuxKit
import Spool
import TestKit
import Testing

@testable import Daemon

/// The ledger's thread with a ledger of its own.
@Suite struct LedgerLoopTests {
    private final class Running {
        let requests: Mailbox<LedgerRequest>
        let dispatch = Mailbox<DispatchMessage> {}
        private let thread: WorkerThread
        private let place: TempDirectory

        init() throws {
            place = try TempDirectory()
            let bell = Doorbell()
            let requests = Mailbox<LedgerRequest> { bell.ring() }
            self.requests = requests
            let dispatch = dispatch
            let path = place.path + "/ledger.db"
            thread = WorkerThread(name: "ledger-test") {
                do throws(LedgerError) {
                    let store = try LedgerStore.open(path: path, durability: .full, programVersion: "test")
                    let ports = LedgerLoop.Ports(
                        dispatch: dispatch, spool: Mailbox {}, audits: Mailbox {},
                        broken: { Issue.record("\($0)") }, isStopping: { false })
                    var loop = LedgerLoop(
                        store: store, requests: requests, spoolRequests: Mailbox { bell.ring() }, bell: bell,
                        heartbeat: Heartbeat(name: "test"), ports: ports)
                    loop.run()
                } catch {
                    Issue.record("\(error)")
                }
            }
        }
        func stop() {
            requests.send(.stop)
            thread.join()
        }
        /// Answers so far: tickets, and 0 for a page of lanes.
        func answers() -> [UInt64] {
            dispatch.drain().compactMap {
                switch $0 {
                case .ledger(.committed(let ticket)): ticket
                case .ledger(.lanes): 0
                default: nil
                }
            }
        }
    }
    private func change(_ ticket: UInt64) -> LedgerRequest {
        .apply(
            [.active(JobSeq(Int64(ticket)), attempts: 1, startedAt: WallTime(milliseconds: 1))],
            ticket: ticket)
    }

    @Test
    func `changes that wait for company are all committed, in order, also when a stop comes among them`()
        throws
    {
        let ledger = try Running()
        for ticket in 1...300 as ClosedRange<UInt64> { ledger.requests.send(change(ticket)) }
        ledger.stop()
        #expect(ledger.answers() == Array(1...300))
    }

    @Test func `a question among changes is answered in its place`() throws {
        let ledger = try Running()
        for ticket in 1...20 as ClosedRange<UInt64> {
            ledger.requests.send(change(ticket))
            if ticket == 10 {
                ledger.requests.send(.lanes(ListID(1), after: nil, limit: 1, includesHeld: true))
            }
        }
        ledger.stop()
        #expect(ledger.answers() == Array(1...10) + [0] + Array(11...20))
    }
}
