// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import JobModel

extension Samples {
    static func audit() -> AuditDocument {
        var row = AuditRow(
            id: AuditID(7), scope: .paths([OutputPath(trusted: "isos")]),
            options: AuditOptions(repairs: true),
            madeAt: WallTime(milliseconds: 1_800_000_000_000))
        row.state = .running
        row.filesTotal = 100_000
        row.bytesTotal = 1 << 40
        row.counts[.fine] = 11_990
        row.counts[.changed] = 8
        row.counts[.missing] = 2
        row.bytes = 1 << 37
        var document = AuditDocument(row)
        document.rate = 41_000_000
        document.secondsLeft = 24_000
        return document
    }

    static func finding() -> AuditFindingDocument {
        var finding = AuditFindingDocument()
        finding.audit = 7
        finding.path = "isos/a.iso"
        finding.verdict = "changed"
        finding.reason = "it has 3 bytes, 5000 were published"
        finding.bytes = 5000
        finding.foundBytes = 3
        return finding
    }
}
