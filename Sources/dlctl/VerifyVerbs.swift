// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI
import ControlClient
import Glibc
import JobModel

struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract:
            "Read finished files again and compare them with what was published; prints the audit's id.",
        discussion: """
            A target with a / in it is a file or directory: absolute, or below the output directory (./NAME for
            one at its top). One without is a list. The audit goes on in the background, also over a restart:
            dlctl audit ID shows it, dlctl audit ID results what it found.

            With --wait the exit status is 1 if a file is not what was published, or with --repair if one of
            those could not be mended.
            """)
    @OptionGroup var common: CommonOptions
    @Flag(help: "Every file that was ever published and that the ledger knows.")
    var all = false
    @Flag(help: "Fetch files again that are changed, missing or unreadable.")
    var repair = false
    @Flag(
        help: "Give files without a known digest the one they have now, if length and time are as published.")
    var recordDigests = false
    @Flag(help: "A line in the results for every file, not only for bad ones.")
    var listAll = false
    @Flag(help: "Wait for the end.")
    var wait = false
    @Argument(help: "A list (id or name), or paths.")
    var targets: [String] = []

    func validate() throws { _ = try scope() }

    func run() throws {
        var order = AuditOrder(try scope())
        order.repair = repair
        order.recordDigests = recordDigests
        order.listAll = listAll
        try Console.reporting {
            let client = try common.client()
            let answer = try client.verify(order)
            common.show(answer) { "\($0.id)\n" }
            if wait { try follow(AuditID(answer.document.id), client) }
        }
    }

    private func scope() throws -> AuditOrder.Scope {
        guard all != !targets.isEmpty else {
            throw ValidationError("Say what to verify: a list, paths, or --all.")
        }
        if all { return .all }
        if targets.allSatisfy({ $0.utf8.contains(UInt8(ascii: "/")) }) { return .paths(targets) }
        guard targets.count == 1 else {
            throw ValidationError("One list, or paths; a path has a / in it: ./NAME at the top.")
        }
        return .list(try Parse.list(targets[0]))
    }

    private func follow(_ id: AuditID, _ client: ControlClient) throws {
        let shows = Console.errorIsTerminal
        let columns = Console.columns(of: STDERR_FILENO)
        let wait = AuditWait(client: client, sleep: { Console.sleep($0) }, now: { Console.monotonic() })
        let answer = try wait.follow(id) { audit in
            guard shows else { return }
            let words =
                audit.map { AuditView.progress($0) } ?? "dld does not answer; waiting for it to come back"
            Console.progress(TextWidth.truncated(words, to: max(10, columns - 1)))
        }
        if shows { Console.progress("") }
        guard let answer else { throw ExitCode(1) }
        common.show(answer) { AuditView.summary($0) + "\n" }
        let audit = answer.document
        if let list = audit.repairList, audit.state == .done {
            return try WaitRun(client: client, common: common, isQuiet: false).follow(
                [.name(list)], limit: nil)
        }
        // Without a list to mend them: what was bad was published anew meanwhile.
        guard AuditView.isSuccess(audit) || audit.state == .done && audit.repair else { throw ExitCode(1) }
    }
}

struct Audits: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "The audits that dlctl verify began.")
    @OptionGroup var common: CommonOptions
    @OptionGroup var page: PageOptions

    func run() throws {
        try Console.reporting {
            let client = try common.client()
            try page.walk(common) { after in
                var query = AuditQuery()
                query.limit = page.limit
                query.after = try after.map(Parse.auditID)
                return try client.audits(query)
            } view: {
                AuditView.text($0, next: $1, Console.style())
            }
        }
    }
}

struct Audit: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "One audit: how far it is, what it found; or end, pause and resume it.",
        discussion: "results prints a line a file; with --json JSON Lines, as many as there are so far.")
    enum Action: String, ExpressibleByArgument, CaseIterable { case results, cancel, pause, resume }
    @OptionGroup var common: CommonOptions
    @Argument(help: "The audit's id.")
    var id: String
    @Argument(help: "What to do with it; nothing: show it.")
    var action: Action?

    func run() throws {
        let id = try Parse.auditID(id)
        try Console.reporting {
            let client = try common.client()
            switch action {
            case nil: common.show(try client.audit(id)) { AuditView.text($0, Console.style()) }
            case .results: try results(id, client)
            case .cancel: common.show(try client.act(.cancel, on: id)) { ActionView.text(audit: $0) }
            case .pause: common.show(try client.act(.pause, on: id)) { ActionView.text(audit: $0) }
            case .resume: common.show(try client.act(.resume, on: id)) { ActionView.text(audit: $0) }
            }
        }
    }

    private func results(_ id: AuditID, _ client: ControlClient) throws {
        var query = AuditResultsQuery(id)
        query.limit = ControlAPI.maximumPageLimit
        while true {
            let page = try client.results(query).document
            if common.json {
                for item in page.items {
                    Console.write(try ControlAPI.encode(item) + [UInt8(ascii: "\n")])
                }
            } else {
                Console.write(AuditView.text(page.items, Console.style()))
            }
            guard let next = page.next.flatMap({ Int64($0) }) else { return }
            query.after = next
        }
    }
}
