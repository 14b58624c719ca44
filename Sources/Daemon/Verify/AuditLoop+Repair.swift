// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import JobModel
import Ledger
import LinuxKit
import SystemPackage

/// The list that fetches bad files again: made from the results, a slice at a time, under a hidden name until it is
/// whole. A start in the middle of it makes it anew.
extension AuditLoop {
    private static let repairStep = 100

    mutating func beginRepair() {
        refetch = RefetchList(spool: setup.spoolDir, keepsDigest: true)
        repairPlace = 0
        phase = .repairing
    }

    /// One name for each audit, at every try: a list that is in the spool or in the ledger already is not made twice.
    private func listName(_ audit: AuditRow) -> String {
        "verify-\(audit.id)-\(audit.madeAt.rawValue / 1000).jsonl"
    }

    mutating func repair() throws -> Duration {
        guard let audit, let reader else {
            phase = .resting
            return .zero
        }
        let name = listName(audit)
        if repairPlace == 0, let count = try made(name, reader) {
            finish(audit, name, count)
            return .zero
        }
        let page = try AuditResults.page(
            audit.id, from: repairPlace, to: audit.resultBytes, limit: Self.repairStep, state: setup.stateDir)
        for item in page.items where AuditVerdict(name: item.verdict)?.isBad ?? false {
            // Published anew since: that one is somebody else's to judge.
            guard let file = try reader.published(at: OutputPath(trusted: item.path)),
                file.record.publishedAt < item.checkedAt.time
            else { continue }
            try refetch?.add(file, record: file.lastJob.flatMap { try reader.record(of: $0) })
        }
        if let next = page.next {
            repairPlace = next
            return .zero
        }
        let count = refetch?.count ?? 0
        let isThere = try refetch?.commit(as: name) ?? false
        refetch = nil
        finish(audit, isThere ? name : nil, count)
        return .zero
    }

    /// A list that an earlier try left in the spool, with its entries where the ledger has them.
    private func made(_ name: String, _ reader: LedgerReader) throws -> Int? {
        if let row = try reader.list(newestNamed: name) { return row.counts.total }
        return try FileStatus.of(FilePath("\(setup.spoolDir)/\(name)")) == nil ? nil : 0
    }

    private mutating func finish(_ audit: AuditRow, _ list: String?, _ count: Int) {
        facts.repairs += count
        ask(.finish(audit.id, list: list, count: count))
        phase = .ending
    }
}
