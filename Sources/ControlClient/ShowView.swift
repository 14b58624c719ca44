// SPDX-License-Identifier: Apache-2.0

public import ControlAPI
import JobModel

/// `dlctl show`: everything about one list or one job, a line a fact, long values in full.
public enum ShowView {
    public static func text(_ list: ListDocument, _ style: ViewStyle) -> String {
        var facts = Facts(style)
        let id = list.id.map { "list \($0)" } ?? "list"
        facts.title("\(id) \(list.name)")
        facts.add("state", list.state.rawValue + (list.paused && !list.state.isTerminal ? ", paused" : ""))
        facts.add("reason", list.reason)
        facts.add("jobs", Quantity.count(list.total))
        for state in JobState.allCases where list.jobs[state] > 0 {
            facts.add("  " + state.name, Quantity.count(list.jobs[state]))
        }
        facts.add("bytes", list.bytes > 0 ? exact(list.bytes) : nil)
        facts.add("rate", list.rate > 0 ? Quantity.rate(list.rate) : nil)
        facts.add("time left", list.secondsLeft.map { "about " + Quantity.time($0) })
        facts.add("admitted", list.admittedAt.map { $0.description })
        facts.add("ended", list.endedAt.map { $0.description })
        facts.add("file", list.finalName)
        return facts.text
    }

    public static func text(_ job: JobDocument, _ style: ViewStyle) -> String {
        var facts = Facts(style)
        facts.title("job \(job.job ?? "(bad line)")")
        facts.add("state", job.state.name)
        if let wait = job.wait {
            facts.add(
                "waits for", wait.reason.rawValue + (wait.until.map { " until " + style.time($0) } ?? ""))
        }
        if let error = job.error {
            facts.add("error", "\(error.code): \(error.message)")
        }
        facts.add("list", "\(job.list), line \(job.line)")
        facts.add("id", job.id)
        switch job.kind {
        case .download: addDownload(job.download, to: &facts)
        case .sum:
            facts.add("sum", "\(job.sum.from)..\(job.sum.to)")
            facts.add("value", job.sum.value)
        }
        facts.add("attempts", job.attempts > 0 ? String(job.attempts) : nil)
        facts.add("flags", job.flags.isEmpty ? nil : job.flags.joined(separator: ", "))
        facts.add("started", job.startedAt.map { $0.description })
        facts.add("ended", job.endedAt.map { $0.description })
        addTimings(job.timings, to: &facts)
        return facts.text
    }

    private static func addDownload(_ part: DownloadDocument, to facts: inout Facts) {
        for url in part.urls { facts.add("url", url) }
        facts.add("final url", part.finalURL == part.url ? nil : part.finalURL)
        facts.add("path", part.path)
        facts.add("bytes", part.bytes.map { exact($0) })
        facts.add("fetched", part.fetchedBytes > 0 ? exact(part.fetchedBytes) : nil)
        facts.add("resumed", part.resumedBytes > 0 ? exact(part.resumedBytes) : nil)
        facts.add("digest", part.digest)
        facts.add("type", part.contentType)
        facts.add("etag", part.etag)
        facts.add("modified", part.lastModified)
        if let status = part.httpStatus {
            facts.add("http", "\(status)" + (part.httpVersion.map { ", HTTP/\($0)" } ?? ""))
        }
        facts.add("from", part.remoteIP)
    }

    private static func addTimings(_ timings: JobTimings, to facts: inout Facts) {
        let phases: [(String, Int64)] = [
            ("queued", timings.queued), ("waiting", timings.waiting == 0 ? -1 : timings.waiting),
            ("dns", timings.dns), ("connect", timings.connect), ("tls", timings.tls),
            ("first byte", timings.firstByte), ("transfer", timings.transfer), ("publish", timings.publish),
            ("run", timings.run), ("cpu", timings.cpu), ("total", timings.total),
        ]
        for (name, nanoseconds) in phases where nanoseconds >= 0 {
            let tenths = nanoseconds / 100_000
            facts.add("  " + name, "\(Quantity.count(tenths / 10)).\(tenths % 10) ms")
        }
    }

    static func exact(_ bytes: Int64) -> String {
        bytes < 1024 ? "\(bytes)" : "\(Quantity.count(bytes)) (\(Quantity.size(bytes)))"
    }
}

/// A title and facts below it, a line each.
struct Facts {
    private var lines: [String] = []
    private let style: ViewStyle
    init(_ style: ViewStyle) { self.style = style }
    var text: String { lines.joined(separator: "\n") + "\n" }

    mutating func title(_ words: String) { lines.append(style.paint(Masking.text(words), .strong)) }
    mutating func add(_ name: String, _ value: String?) {
        guard let value else { return }
        lines.append("  " + style.paint(TextWidth.leftAligned(name, 13), .dim) + Masking.text(value))
    }
}
