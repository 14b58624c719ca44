// SPDX-License-Identifier: Apache-2.0

import JobModel
import LinuxKit
import SystemPackage

/// Gives results out: some ended lists in turn, a page of each, so that admission is not starved.
final class ResultsDesk {
    /// Lists being written at a time; the others wait as rows.
    static let limit = 4
    static let pageSize = 500
    /// After trouble with the disk.
    static let pause: Duration = .seconds(10)

    private let context: SpoolContext
    private var waiting: [ListRow] = []
    private var endings: [ListID: ListEnding] = [:]
    /// Asked to be closed; for the event.
    private var closing: [ListID: SpoolPlace] = [:]
    private var retries: [(row: ListRow, due: MonotonicTime)] = []

    init(context: SpoolContext) { self.context = context }

    var isEmpty: Bool { waiting.isEmpty && endings.isEmpty && closing.isEmpty && retries.isEmpty }

    func ended(_ row: ListRow, now: MonotonicTime) {
        guard endings[row.id] == nil, closing[row.id] == nil, !waiting.contains(where: { $0.id == row.id }),
            !retries.contains(where: { $0.row.id == row.id })
        else { return }
        waiting.append(row)
        start(now)
    }

    /// When to look again, if something failed.
    var due: MonotonicTime? { retries.map(\.due).min() }

    func retry(now: MonotonicTime) {
        waiting += retries.filter { $0.due <= now }.map(\.row)
        retries.removeAll { $0.due <= now }
        start(now)
    }

    private func start(_ now: MonotonicTime) {
        while endings.count < Self.limit, !waiting.isEmpty {
            let row = waiting.removeFirst()
            do throws(SystemError) {
                endings[row.id] = try ListEnding(row, context: context)
                context.ask(.page(row.id, after: nil, limit: Self.pageSize))
            } catch {
                putOff(row, error, now)
            }
        }
    }

    func page(_ list: ListID, _ records: [ResultRecord], next: JobSeq?, now: MonotonicTime) {
        guard let ending = endings[list] else {
            return context.remark(
                .error, "the ledger sent results that nobody asked for", list: list, file: "")
        }
        do throws(SystemError) {
            try ending.add(records, next: next)
            if let next { return context.ask(.page(list, after: next, limit: Self.pageSize)) }
            var isMissing = false
            let name = try ending.finish(isMissing: &isMissing)
            if isMissing {
                context.remark(
                    .warning, "the list file is gone from accepted/; its results are written all the same",
                    list: list,
                    file: ending.row.name)
            }
            endings[list] = nil
            closing[list] = ending.place
            context.ask(.close(list, finalName: name))
        } catch {
            endings[list] = nil
            putOff(ending.row, error, now)
        }
        start(now)
    }

    func closed(_ list: ListID) {
        guard let place = closing.removeValue(forKey: list) else {
            return context.remark(
                .error, "the ledger closed a list that nobody asked for", list: list, file: "")
        }
        context.tell(.closed(list, folder: place.rawValue))
    }

    /// Starts over later: nothing half written stands under a final name.
    private func putOff(_ row: ListRow, _ error: SystemError, _ now: MonotonicTime) {
        context.remark(.error, "its results cannot be written: \(error)", list: row.id, file: row.name)
        retries.append((row, now + Self.pause))
    }
}
