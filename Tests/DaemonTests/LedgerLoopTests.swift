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
        let spoolRequests: Mailbox<SpoolRequest>
        let dispatch = Mailbox<DispatchMessage> {}
        let spool = Mailbox<SpoolMessage> {}
        private let thread: WorkerThread
        private let place: TempDirectory

        init() throws {
            place = try TempDirectory()
            let bell = Doorbell()
            let requests = Mailbox<LedgerRequest> { bell.ring() }
            let spoolRequests = Mailbox<SpoolRequest> { bell.ring() }
            self.requests = requests
            self.spoolRequests = spoolRequests
            let (dispatch, spool) = (dispatch, spool)
            let path = place.path + "/ledger.db"
            thread = WorkerThread(name: "ledger-test") {
                do throws(LedgerError) {
                    let store = try LedgerStore.open(path: path, durability: .full, programVersion: "test")
                    let ports = LedgerLoop.Ports(
                        dispatch: dispatch, spool: spool, audits: Mailbox {},
                        broken: { Issue.record("\($0)") }, isStopping: { false })
                    var loop = LedgerLoop(
                        store: store, requests: requests, spoolRequests: spoolRequests, bell: bell,
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

    private func file(_ name: String, inode: UInt64) -> SpoolRequest {
        .begin(
            ListFile(
                name: name, acceptedName: name, format: .text, isGzip: false, device: 1, inode: inode,
                size: 1, modified: WallTime(milliseconds: 1)))
    }
    /// So many lines in batches of `size`, each for another host than the one before.
    private func batches(
        _ list: ListID, _ count: Int, size: Int, firstSeq: Int64 = 1, isWhole: Bool = true
    ) -> [SpoolRequest] {
        (0..<count).map { index in
            func position(_ entries: Int) -> ListPosition {
                ListPosition(offset: Int64(entries), line: entries, entries: entries)
            }
            let entries = (0..<size).map { line -> AdmittedEntry in
                let number = Int64(index * size + line)
                let url = DownloadURL(
                    text: "http://h\(line).test/\(number)", scheme: "http", host: HostKey("h\(line).test"))
                return AdmittedEntry(
                    seq: JobSeq(firstSeq + number), line: Int(number),
                    kind: .download(urls: [url], path: OutputPath(trusted: "\(list)-\(number)")),
                    options: .none)
            }
            return .admit(
                AdmissionBatch(
                    list: list, from: position(index * size), to: position((index + 1) * size), defaults: nil,
                    entries: entries, isLast: isWhole && index == count - 1))
        }
    }
    /// What the spool is told, until so many entries of the list are in.
    private func told(_ ledger: Running, _ list: ListID, _ entries: Int) throws -> [SpoolMessage] {
        var all: [SpoolMessage] = []
        try eventually("\(entries) entries are in") {
            all += ledger.spool.drain()
            return all.contains {
                if case .admitted(list, let position) = $0 { position.entries == entries } else { false }
            }
        }
        return all
    }

    @Test func `batches that come together go in together, and what they brought is told once for a list`()
        throws
    {
        let ledger = try Running()
        defer { ledger.stop() }
        ledger.spoolRequests.send(file("long.txt", inode: 1))
        ledger.spoolRequests.send(contentsOf: batches(ListID(1), 40, size: 500))
        let told = try told(ledger, ListID(1), 20_000)
        let positions = told.compactMap {
            if case .admitted(_, let position) = $0 { position.entries } else { nil }
        }
        #expect(positions == (1...40).map { $0 * 500 })
        var wakes: [Int] = []
        var counted = 0
        try eventually("the counts are told") {
            for case .ledger(let reply) in ledger.dispatch.drain() {
                switch reply {
                case .woke(ListID(1), lowestRank: 0, let lanes): wakes.append(lanes?.count ?? -1)
                case .hosts(let counts): counted = counts[HostKey("h7.test")]?.queued ?? 0
                default: break
                }
            }
            return counted == 40
        }
        // 1 batch, 2, 4, 8, 12, 12 and the rest.
        #expect(wakes == Array(repeating: 500, count: 7))
    }

    @Test func `a list that begins, and a question, go before the batches of a long list`() throws {
        let ledger = try Running()
        defer { ledger.stop() }
        ledger.spoolRequests.send(file("long.txt", inode: 1))
        ledger.spoolRequests.send(
            contentsOf: batches(ListID(1), 30, size: 500) + [file("short.txt", inode: 2)])
        let told = try told(ledger, ListID(1), 15_000)
        let place = try #require(
            told.firstIndex { if case .begun(let file, _) = $0 { file.inode == 2 } else { false } })
        #expect(place <= 1)
    }

    @Test func `batches of two lists take turns`() throws {
        let ledger = try Running()
        defer { ledger.stop() }
        ledger.spoolRequests.send(contentsOf: [file("long.txt", inode: 1), file("short.txt", inode: 2)])
        ledger.spoolRequests.send(
            contentsOf: batches(ListID(1), 30, size: 500)
                + batches(ListID(2), 3, size: 10, firstSeq: 100_000))
        let lists = try told(ledger, ListID(1), 15_000).compactMap {
            if case .admitted(let list, _) = $0 { list.rawValue } else { nil }
        }
        #expect(lists.prefix(7).filter { $0 == 2 }.count == 3)
    }

    @Test func `a batch that the next one does not follow is committed all the same`() throws {
        let ledger = try Running()
        defer { ledger.stop() }
        ledger.spoolRequests.send(file("slow.txt", inode: 1))
        var sent = 0
        for request in batches(ListID(1), 8, size: 600, isWhole: false) {
            ledger.spoolRequests.send(request)
            sent += 600
            if sent > 600 { _ = try told(ledger, ListID(1), sent) }
        }
    }
}
