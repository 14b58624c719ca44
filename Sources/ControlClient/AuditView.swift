// SPDX-License-Identifier: Apache-2.0

public import ControlAPI
import JobModel

/// Audits in words: `dlctl audits`, `dlctl audit ID`, `dlctl verify --wait`, and the line of `dlctl status`.
public enum AuditView {
    public static func text(_ audits: [AuditDocument], next: String?, _ style: ViewStyle) -> String {
        guard !audits.isEmpty || next != nil else { return "no audits\n" }
        var table = TextTable([
            .init("Audits", .right), .init("of", flexible: true), .init("state"), .init("files", .right),
            .init("total", .right), .init("bad", .right), .init("rate", .right), .init("left", .right),
        ])
        for audit in audits {
            table.add([
                Cell(String(audit.id), .dim), Cell(subject(audit)), state(audit),
                Cell(Quantity.count(audit.files)),
                Cell(audit.filesTotal.map { Quantity.count($0) } ?? ""),
                Cell(Quantity.count(audit.bad), audit.bad > 0 ? .bad : .plain),
                Cell(audit.rate > 0 ? Quantity.rate(audit.rate) : ""),
                Cell(audit.secondsLeft.map { Quantity.time($0) } ?? ""),
            ])
        }
        return TableText.page(table.lines(style), next: next, style)
    }

    private static func subject(_ audit: AuditDocument) -> String {
        if let list = audit.list { return "list \(list)" }
        guard let first = audit.paths.first else { return "everything" }
        return audit.paths.count == 1 ? first : "\(first) and \(audit.paths.count - 1) more"
    }

    private static func state(_ audit: AuditDocument) -> Cell {
        if audit.paused, !audit.state.isTerminal { return Cell("paused", .warning) }
        if audit.reason != nil, !audit.state.isTerminal { return Cell("waiting", .warning) }
        switch audit.state {
        case .done: return audit.bad > 0 ? Cell("done", .bad) : Cell("done", .good)
        case .cancelled: return Cell("cancelled", .warning)
        case .queued, .running, .repairing: return Cell(audit.state.rawValue)
        }
    }

    public static func text(_ audit: AuditDocument, _ style: ViewStyle) -> String {
        var facts = Facts(style)
        facts.title("audit \(audit.id) of \(subject(audit))")
        facts.add("state", audit.state.rawValue + (audit.paused && !audit.state.isTerminal ? ", paused" : ""))
        facts.add("waits for", audit.reason)
        facts.add(
            "files",
            Quantity.count(audit.files) + (audit.filesTotal.map { " of \(Quantity.count($0))" } ?? ""))
        for (name, count) in counts(audit) where count > 0 { facts.add("  " + name, Quantity.count(count)) }
        facts.add("bytes", ShowView.exact(audit.bytes))
        facts.add("rate", audit.rate > 0 ? Quantity.rate(audit.rate) : nil)
        facts.add("time left", audit.secondsLeft.map { "about " + Quantity.time($0) })
        facts.add("repair", audit.repairList.map { "\(Quantity.count(audit.repairs, "file")) in \($0)" })
        facts.add("made", audit.madeAt.description)
        facts.add("started", audit.startedAt.map { $0.description })
        facts.add("ended", audit.endedAt.map { $0.description })
        return facts.text
    }

    private static func counts(_ audit: AuditDocument) -> [(String, Int)] {
        [
            ("fine", audit.fine), ("plausible", audit.plausible), ("changed", audit.changed),
            ("missing", audit.missing), ("unreadable", audit.unreadable), ("skipped", audit.skipped),
        ]
    }

    /// How far it is, in a line: `audit 7: 12,000 of 100,000 files, 2 changed, 41 MB/s, about 2 h`.
    public static func progress(_ audit: AuditDocument) -> String {
        var words = "audit \(audit.id): \(Quantity.count(audit.files))"
        if let total = audit.filesTotal { words += " of \(Quantity.count(total))" }
        words += " files"
        for (name, count) in counts(audit) where count > 0 && name != "fine" {
            words += ", \(Quantity.count(count)) \(name)"
        }
        if audit.paused { words += ", paused" }
        if let reason = audit.reason { return words + "; waits: " + Masking.text(reason) }
        if audit.rate > 0 { words += ", " + Quantity.rate(audit.rate) }
        if let left = audit.secondsLeft { words += ", about " + Quantity.time(left) }
        return words
    }

    /// How it ended, in a line.
    public static func summary(_ audit: AuditDocument) -> String {
        let told = counts(audit).filter { $0.1 > 0 }.map { "\(Quantity.count($0.1)) \($0.0)" }
        var words = "audit \(audit.id): " + (told.isEmpty ? "no files" : told.joined(separator: ", "))
        if audit.state == .cancelled { words += "; cancelled" }
        if let list = audit.repairList {
            words += "; \(Quantity.count(audit.repairs, "file")) queued again by \(Masking.text(list))"
        } else if audit.bad > 0 {
            words += "; see dlctl audit \(audit.id) results"
        }
        return words
    }

    /// `changed  a/b.iso: it has 3 bytes, 5000 were published`.
    public static func text(_ findings: [AuditFindingDocument], _ style: ViewStyle) -> String {
        findings.map { finding in
            let isGood = ["fine", "plausible", "skipped"].contains(finding.verdict)
            let verdict = style.paint(
                TextWidth.leftAligned(Masking.text(finding.verdict), 11), isGood ? .plain : .bad)
            let reason = finding.reason.map { ": " + Masking.text($0) } ?? ""
            return verdict + Masking.text(finding.path) + reason + "\n"
        }.joined()
    }

    /// Whether all that it looked at was as published.
    public static func isSuccess(_ audit: AuditDocument) -> Bool { audit.state == .done && audit.bad == 0 }
}
