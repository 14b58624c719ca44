// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI
import ControlClient
import JobModel

struct Status: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "How things stand, the verdict first.")
    @OptionGroup var common: CommonOptions
    @Flag(help: "Every row, not only the first of each section.")
    var all = false

    func run() throws {
        try Console.reporting {
            let client = try common.client()
            common.show(try client.status()) { StatusView.text($0, Console.style(showsAll: all)) }
        }
    }
}

/// What verbs that show pages take.
struct PageOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Rows of a page, 1 to 1000.", valueName: "rows"))
    var limit = ControlAPI.defaultPageLimit
    @Option(help: ArgumentHelp("Go on after this row, as the last page said.", valueName: "row"))
    var after: String?
    @Flag(help: "All pages, one after the other.")
    var all = false

    func validate() throws {
        guard (1...ControlAPI.maximumPageLimit).contains(limit) else {
            throw ValidationError("--limit is a number from 1 to \(ControlAPI.maximumPageLimit).")
        }
    }

    /// Shows one page, or with `--all` one after the other until the last; nothing is gathered.
    func walk<Item>(
        _ common: CommonOptions, fetch: (_ after: String?) throws -> Answer<PageDocument<Item>>,
        view: (_ items: [Item], _ next: String?) -> String
    ) throws {
        var cursor = after
        var isFirst = true
        while true {
            let page = try fetch(cursor)
            let next = page.document.next
            if common.json {
                Console.write(page.bytes)
            } else if isFirst || !page.document.items.isEmpty {
                Console.write(view(page.document.items, all ? nil : next))
            }
            isFirst = false
            guard all, let next else { return }
            cursor = next
        }
    }
}

struct Lists: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "The lists and how far they are.")
    @OptionGroup var common: CommonOptions
    @OptionGroup var page: PageOptions
    @Option(
        help: ArgumentHelp("Only lists that are admitting, running, closed or rejected.", valueName: "state"))
    var state: ListDocument.State?

    func run() throws {
        try Console.reporting {
            let client = try common.client()
            try page.walk(common) { after in
                var query = ListQuery()
                query.state = state
                query.limit = page.limit
                query.after = try after.map(Parse.listID)
                return try client.lists(query)
            } view: {
                ListsView.text($0, next: $1, Console.style())
            }
        }
    }
}

struct Jobs: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "The jobs, of all lists or of one.")
    @OptionGroup var common: CommonOptions
    @OptionGroup var page: PageOptions
    @Option(
        help: ArgumentHelp(
            "Only jobs that are queued, active, waiting, publishing, paused, done, failed or cancelled.",
            valueName: "state"))
    var state: JobState?
    @Option(help: ArgumentHelp("Only jobs of this list.", valueName: "list"))
    var list: ListReference?

    func run() throws {
        try Console.reporting {
            let client = try common.client()
            try page.walk(common) { after in
                var query = JobQuery()
                query.state = state
                query.list = list
                query.limit = page.limit
                query.after = try after.map(Parse.jobID)
                return try client.jobs(query)
            } view: {
                JobsView.text($0, next: $1, Console.style())
            }
        }
    }
}

struct Hosts: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "The hosts, their connections and holds.")
    @OptionGroup var common: CommonOptions
    @OptionGroup var page: PageOptions

    func run() throws {
        try Console.reporting {
            let client = try common.client()
            try page.walk(common) { after in
                var query = HostQuery()
                query.limit = page.limit
                query.after = after.map { HostKey($0) }
                return try client.hosts(query)
            } view: {
                HostsView.text($0, next: $1, Console.style())
            }
        }
    }
}

struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Everything about one list or one job.")
    @OptionGroup var common: CommonOptions
    @Argument(help: "A list (id or name) or a job id.")
    var target: String

    func run() throws {
        try Console.reporting {
            let client = try common.client()
            switch try Parse.target(target) {
            case .job(let id): common.show(try client.job(id)) { ShowView.text($0, Console.style()) }
            case .list(let list): common.show(try client.list(list)) { ShowView.text($0, Console.style()) }
            }
        }
    }
}

struct Metrics: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "The metrics, in Prometheus' text format or as a JSON array of samples.")
    @OptionGroup var common: CommonOptions

    func run() throws {
        try Console.reporting {
            let bytes = try common.client().metrics()
            Console.write(common.json ? MetricsView.json(bytes) : bytes)
        }
    }
}
