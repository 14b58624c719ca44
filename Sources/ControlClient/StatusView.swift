// SPDX-License-Identifier: Apache-2.0

public import ControlAPI
import JobModel

/// `dlctl status` as text: the verdict first, then how the daemon is, then what it works on, then what went
/// wrong.
///
/// Pure: the same document gives the same lines. Sections with nothing in them are left out, so that an idle
/// daemon
/// fits in a hand and a busy one on a screen.
public enum StatusView {
    /// Lines joined by line feeds, with one at the end.
    public static func text(_ status: StatusDocument, _ style: ViewStyle) -> String {
        var lines = verdict(status, style) + [""]
        lines += summary(status, style)
        for section in [
            lists(status, style), transfers(status, style), hosts(status, style), waiting(status, style),
            workers(status, style), errors(status, style),
        ] where !section.isEmpty {
            lines.append("")
            lines += section
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func verdict(_ status: StatusDocument, _ style: ViewStyle) -> [String] {
        let tone: Tone =
            switch status.state {
            case .running: .strongGood
            case .idle, .starting: .strong
            case .waiting, .draining: .strongWarning
            case .paused: .strongBad
            }
        let lines = TextWidth.wrapped(Masking.text(status.verdict), to: style.columns - 2)
        return lines.enumerated().map { ($0 > 0 ? "  " : "") + style.paint($1, tone) }
    }

    // One short line a subject, the subject first.
    private static func summary(_ status: StatusDocument, _ style: ViewStyle) -> [String] {
        var lines: [String] = []
        func add(_ subject: String, _ words: String, _ tone: Tone = .plain) {
            for (index, line) in TextWidth.wrapped(Masking.text(words), to: style.columns - 11).enumerated() {
                let head = TextWidth.leftAligned(index == 0 ? subject : "", 11)
                lines.append(style.paint(head, .dim) + style.paint(line, tone))
            }
        }
        add(
            "dld",
            "\(status.version), pid \(status.pid), up \(Quantity.time(status.uptimeSeconds)), "
                + "\(Quantity.size(status.memory.rssBytes)) of memory")
        if status.config.state == .stale {
            add("Config", "on disk is refused, the old one stays: \(status.config.reason ?? "")", .bad)
        }
        let states = JobState.allCases.filter { status.jobs[$0] > 0 }
        if !states.isEmpty {
            add(
                "Jobs", states.map { "\(Quantity.count(status.jobs[$0])) \($0.name)" }.joined(separator: ", ")
            )
        }
        let totals = status.totals
        if totals.bytes > 0 || totals.done + totals.failed + totals.cancelled > 0 {
            var words = "\(Quantity.size(totals.bytes)) since the start, \(Quantity.count(totals.done)) done"
            if totals.failed > 0 { words += ", \(Quantity.count(totals.failed)) failed" }
            if totals.cancelled > 0 { words += ", \(Quantity.count(totals.cancelled)) cancelled" }
            add("Fetched", words)
        }
        if let limit = totals.rateLimit { add("Limit", "\(Quantity.rate(Double(limit))) for everything") }
        add("Sums", sums(status.sums), status.sums.isUp ? .plain : .bad)
        if let audit = status.audit {
            let others =
                status.auditsTotal > 1 ? "; \(Quantity.count(status.auditsTotal - 1)) more queued" : ""
            let isBad = audit.bad > 0 || audit.reason != nil
            add("Audit", AuditView.progress(audit) + others, isBad ? .bad : .plain)
        }
        for disk in status.disks {
            let role = disk.role == "output" ? "" : "\(disk.role), "
            var words =
                "\(role)\(disk.path): \(Quantity.size(disk.free)) of \(Quantity.size(disk.total)) free"
            if disk.isShort { words += ", \(Quantity.size(disk.reserve)) must stay free" }
            if disk.promised > 0 { words += ", \(Quantity.size(disk.promised)) of it promised" }
            if let why = disk.paused { words += "; paused: \(why)" }
            add("Disk", words, disk.isShort || disk.paused != nil ? .bad : .plain)
        }
        return lines
    }

    private static func sums(_ sums: SumsStatus) -> String {
        guard sums.isUp else { return "sumd is not running" + restarts(sums) }
        let work =
            sums.running + sums.queued == 0
            ? "idle" : "\(Quantity.count(sums.running)) running, \(Quantity.count(sums.queued)) queued"
        return Quantity.count(sums.workerPids.count, "process", "processes") + ", " + work + restarts(sums)
    }
    private static func restarts(_ sums: SumsStatus) -> String {
        sums.restarts == 0 ? "" : ", restarted " + Quantity.count(sums.restarts, "time")
    }

    private static func lists(_ status: StatusDocument, _ style: ViewStyle) -> [String] {
        guard !status.lists.isEmpty else { return [] }
        let shown = style.showsAll ? status.lists : Array(status.lists.prefix(10))
        let lines = ListsView.table(shown, title: "Lists").lines(style)
        return lines + more(status.listsTotal - shown.count, style)
    }

    private static func transfers(_ status: StatusDocument, _ style: ViewStyle) -> [String] {
        guard !status.transfers.isEmpty else { return [] }
        var table = TextTable([
            .init("Transfers", flexible: true), .init("host"), .init("", .right), .init("size", .right),
            .init("rate", .right),
        ])
        let shown = style.showsAll ? status.transfers : Array(status.transfers.prefix(10))
        for transfer in shown {
            let name = transfer.path.isEmpty ? transfer.url : transfer.path
            table.add([
                Cell(name), Cell(TextWidth.truncated(transfer.host, to: 24)),
                Cell(transfer.total.map { Quantity.percent(transfer.bytes, of: $0) } ?? ""),
                Cell(
                    transfer.total.map { Quantity.part(transfer.bytes, of: $0) }
                        ?? Quantity.size(transfer.bytes)),
                Cell(
                    transfer.bytes > 0 || transfer.rate > 0
                        ? Quantity.rate(transfer.rate) : "starting", .dim),
            ])
        }
        return table.lines(style) + more(status.transfersTotal - shown.count, style)
    }

    private static func hosts(_ status: StatusDocument, _ style: ViewStyle) -> [String] {
        guard !status.hosts.isEmpty else { return [] }
        let shown = style.showsAll ? status.hosts : Array(status.hosts.prefix(8))
        let lines = HostsView.table(shown, style).lines(style)
        return lines + more(status.hostsTotal - shown.count, style)
    }

    private static func waiting(_ status: StatusDocument, _ style: ViewStyle) -> [String] {
        guard !status.waiting.isEmpty else { return [] }
        let sorted = status.waiting.sorted { $0.count > $1.count }
        let shown = style.showsAll ? sorted : Array(sorted.prefix(5))
        let lines = shown.map { group in
            let words = Verdict.words(for: group) { style.clock($0, false) }
            return "  " + TextWidth.truncated(Masking.text(words), to: style.columns - 2)
        }
        return [style.paint("Waiting", .strong)] + lines + more(sorted.count - shown.count, style)
    }

    private static func workers(_ status: StatusDocument, _ style: ViewStyle) -> [String] {
        guard !status.workers.isEmpty else { return [] }
        var table = TextTable([
            .init("Threads"), .init("transfers", .right), .init("connections", .right), .init("rate", .right),
            .init("last seen", .right), .init("", flexible: true),
        ])
        let shown = style.showsAll ? status.workers : Array(status.workers.prefix(12))
        for worker in shown {
            let isLate = worker.heartbeatAgeSeconds >= 10
            let works = worker.active > 0 || worker.connections > 0
            table.add([
                Cell(worker.name), Cell(works ? Quantity.count(worker.active) : ""),
                Cell(works ? Quantity.count(worker.connections) : ""),
                Cell(works ? Quantity.rate(worker.rate) : ""),
                Cell(
                    isLate ? Quantity.time(worker.heartbeatAgeSeconds) + " ago" : "now",
                    isLate ? .bad : .dim),
                Cell(worker.blockedCall.map { "in \($0)" } ?? "", isLate ? .bad : .dim),
            ])
        }
        return table.lines(style) + more(status.workers.count - shown.count, style)
    }

    private static func errors(_ status: StatusDocument, _ style: ViewStyle) -> [String] {
        guard !status.errors.isEmpty else { return [] }
        let shown = style.showsAll ? status.errors : Array(status.errors.prefix(5))
        var table = TextTable([
            .init("Last errors"), .init("job"), .init("code"), .init("", flexible: true),
        ])
        for error in shown {
            table.add([
                Cell(style.clock(error.when.time, true), .dim),
                Cell(error.job ?? "list \(error.list) line \(error.line)"), Cell(error.code, .bad),
                Cell(error.message),
            ])
        }
        return table.lines(style)
    }

    private static func more(_ count: Int, _ style: ViewStyle) -> [String] {
        count > 0 ? ["  " + style.paint("and \(Quantity.count(count)) more", .dim)] : []
    }
}
