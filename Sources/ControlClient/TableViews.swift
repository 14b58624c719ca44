// SPDX-License-Identifier: Apache-2.0

public import ControlAPI
import JobModel

/// `dlctl lists`, and the lists of `dlctl status`.
public enum ListsView {
    public static func text(_ lists: [ListDocument], next: String?, _ style: ViewStyle) -> String {
        guard !lists.isEmpty || next != nil else { return "no lists\n" }
        return TableText.page(table(lists, title: "Lists").lines(style), next: next, style)
    }

    static func table(_ lists: [ListDocument], title: String) -> TextTable {
        var table = TextTable([
            .init(title, .right), .init("", flexible: true), .init("state"), .init("done", .right),
            .init("failed", .right), .init("total", .right), .init("rate", .right), .init("left", .right),
        ])
        for list in lists {
            table.add([
                Cell(list.id.map { String($0) } ?? "-", .dim), Cell(list.name), state(list),
                Cell(Quantity.count(list.done)),
                Cell(list.failed == 0 ? "0" : Quantity.count(list.failed), list.failed == 0 ? .plain : .bad),
                Cell(Quantity.count(list.total)), Cell(list.rate > 0 ? Quantity.rate(list.rate) : ""),
                Cell(list.secondsLeft.map { Quantity.time($0) } ?? ""),
            ])
        }
        return table
    }

    static func state(_ list: ListDocument) -> Cell {
        if list.paused && !list.state.isTerminal { return Cell("paused", .warning) }
        switch list.state {
        case .closed:
            return list.done == list.total ? Cell("done", .good) : Cell("failed", .bad)
        case .rejected: return Cell("rejected", .bad)
        case .spooled, .admitting, .running: return Cell(list.state.rawValue)
        }
    }
}

/// `dlctl hosts`, and the hosts of `dlctl status`.
public enum HostsView {
    public static func text(_ hosts: [HostDocument], next: String?, _ style: ViewStyle) -> String {
        guard !hosts.isEmpty || next != nil else { return "no hosts\n" }
        return TableText.page(table(hosts, style).lines(style), next: next, style)
    }

    static func table(_ hosts: [HostDocument], _ style: ViewStyle) -> TextTable {
        var table = TextTable([
            .init("Hosts", flexible: true), .init("conn", .right), .init("active", .right), .init("HTTP"),
            .init("queued", .right), .init(""),
        ])
        for host in hosts {
            let words = remark(on: host, style)
            let remark = words.isEmpty ? Cell.empty : Cell(words, .warning)
            table.add([
                Cell(host.host), Cell(Quantity.count(host.connections)), Cell(Quantity.count(host.active)),
                Cell(host.httpVersion ?? ""), Cell(Quantity.count(host.queued + host.waiting)), remark,
            ])
        }
        return table
    }

    /// `breaker open (connect), probe at 03:40, gives up 04:10`
    private static func remark(on host: HostDocument, _ style: ViewStyle) -> String {
        let reason = host.reason.map { " (\(TextWidth.truncated($0, to: 20)))" } ?? ""
        var parts: [String] = []
        if host.breaker == "probing" { parts.append("breaker open, probing") }
        if let until = host.heldUntil {
            parts.append(
                host.breaker == "open"
                    ? "breaker open\(reason), probe at \(style.time(until))"
                    : "held until \(style.time(until))\(reason)")
        }
        if let end = host.givesUpAt { parts.append("gives up \(style.time(end))") }
        return parts.joined(separator: ", ")
    }
}

/// `dlctl jobs`.
public enum JobsView {
    public static func text(_ jobs: [JobDocument], next: String?, _ style: ViewStyle) -> String {
        guard !jobs.isEmpty || next != nil else { return "no jobs\n" }
        return TableText.page(table(jobs, style).lines(style), next: next, style)
    }

    static func table(_ jobs: [JobDocument], _ style: ViewStyle) -> TextTable {
        var table = TextTable([
            .init("Jobs"), .init("list", .right), .init("line", .right), .init("state"),
            .init("", flexible: true),
            .init("size", .right), .init(""),
        ])
        for job in jobs {
            table.add([
                Cell(job.job ?? "(bad line)", .dim), Cell(String(job.list)), Cell(String(job.line)),
                Cell(job.state.name, tone(job.state)), Cell(subject(job)),
                Cell(job.download.bytes.map { Quantity.size($0) } ?? ""), remark(job, style),
            ])
        }
        return table
    }

    static func tone(_ state: JobState) -> Tone {
        switch state {
        case .done: .good
        case .failed: .bad
        case .cancelled, .waiting, .paused: .warning
        case .queued, .active, .publishing: .plain
        }
    }

    static func subject(_ job: JobDocument) -> String {
        switch job.kind {
        case .sum: "sum \(job.sum.from)..\(job.sum.to)"
        case .download: job.download.path ?? job.download.url ?? job.error?.message ?? ""
        }
    }

    private static func remark(_ job: JobDocument, _ style: ViewStyle) -> Cell {
        if let error = job.error { return Cell(error.code, .bad) }
        if let wait = job.wait {
            return Cell(wait.reason.rawValue + (wait.until.map { " " + style.time($0) } ?? ""), .warning)
        }
        if let value = job.sum.value { return Cell(value) }
        return Cell(job.flags.joined(separator: " "), .dim)
    }
}

enum TableText {
    static func page(_ lines: [String], next: String?, _ style: ViewStyle) -> String {
        let rest = next.map { ["", style.paint("more: --after \($0), or --all", .dim)] } ?? []
        return (lines + rest).joined(separator: "\n") + "\n"
    }
}
