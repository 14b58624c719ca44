// SPDX-License-Identifier: Apache-2.0

internal import GRDB

/// How one table is taken over.
struct SalvagedTable {
    /// Without its WHERE; the first column is the key.
    var select: String
    var condition: String
    var key: String
    var insert: String
}

/// Copies what can be read of one table of a damaged ledger.
///
/// Upwards by the key until SQLite meets a damaged page. Then keys further and further on are tried, until one can be
/// read: from there first back down to the damage, for the step may have gone too far, then on upwards. So a damaged
/// leaf costs its rows, a damaged inner page those below it.
struct SalvageWalk {
    private static let page = 1000
    private enum Direction { case up, down }

    let table: SalvagedTable
    let old: DatabaseQueue
    let new: DatabaseQueue

    /// - Returns: rows written.
    func copy() -> Int {
        var written = 0
        // The last key that was read, or the one that reading goes on behind.
        var place: DatabaseValue?
        while true {
            let up = walk(.up, from: place, to: nil)
            written += up.written
            place = up.last ?? place
            if up.isWhole { return written }
            guard let next = SalvageProbes.after(place).lazy.compactMap(firstKey).first else {
                // To the end there is no key to be found: what lies there is read backwards.
                return written + walk(.down, from: nil, to: place).written
            }
            written += walk(.down, from: next, to: place).written
            written += take(at: next)
            place = next
        }
    }

    /// Key of the first row from `key` on, a usable one; nil where its page is damaged.
    private func firstKey(from key: DatabaseValue) -> DatabaseValue? {
        let found = try? rows("\(table.key) >= ?", [key], .up, limit: 1)  // damaged: the next one is asked
        return found?.first?.first.flatMap { SalvageProbes.isUsable($0) ? $0 : nil }
    }

    /// The one row whose key is `key`, for both walks leave it out.
    private func take(at key: DatabaseValue) -> Int {
        (try? rows("\(table.key) = ?", [key], .up, limit: 1)).map(insert) ?? 0  // damaged after all: lost
    }

    /// Reads from behind `start` to before `end`, or until a page that is damaged.
    private func walk(
        _ direction: Direction, from start: DatabaseValue?, to end: DatabaseValue?
    ) -> (written: Int, last: DatabaseValue?, isWhole: Bool) {
        var written = 0
        var last: DatabaseValue?
        while true {
            var bounds: [String] = []
            var arguments: [DatabaseValue] = []
            if let from = last ?? start {
                bounds.append("\(table.key) \(direction == .up ? ">" : "<") ?")
                arguments.append(from)
            }
            if let end {
                bounds.append("\(table.key) \(direction == .up ? "<" : ">") ?")
                arguments.append(end)
            }
            var found: [[DatabaseValue]] = []
            var isWhole = true
            do {
                try visit(bounds.joined(separator: " AND "), arguments, direction, limit: Self.page) {
                    found.append($0)
                }
            } catch {
                isWhole = false
            }
            written += insert(found)
            let usable = found.last { SalvageProbes.isUsable($0[0]) }?.first
            last = usable ?? last
            guard isWhole, found.count == Self.page else { return (written, last, isWhole) }
            // No key that reading could go on behind.
            guard usable != nil else { return (written, last, false) }
        }
    }

    private func rows(
        _ bounds: String, _ arguments: [DatabaseValue], _ direction: Direction, limit: Int
    ) throws -> [[DatabaseValue]] {
        var found: [[DatabaseValue]] = []
        try visit(bounds, arguments, direction, limit: limit) { found.append($0) }
        return found
    }

    /// Rows one by one: those before a damaged page have been handed over when this throws.
    private func visit(
        _ bounds: String, _ arguments: [DatabaseValue], _ direction: Direction, limit: Int,
        _ take: ([DatabaseValue]) -> Void
    ) throws {
        let filter = bounds.isEmpty ? table.condition : "\(table.condition) AND \(bounds)"
        let order = direction == .up ? "ASC" : "DESC"
        let sql = "\(table.select) WHERE \(filter) ORDER BY \(table.key) \(order) LIMIT \(limit)"
        try old.read { db in
            let cursor = try Row.fetchCursor(db, sql: sql, arguments: StatementArguments(arguments))
            while let row = try cursor.next() { take(Array(row.databaseValues)) }
        }
    }

    /// A row that the new table's rules refuse is damage too, and is left out alone.
    private func insert(_ rows: [[DatabaseValue]]) -> Int {
        var count = 0
        do {
            try new.write { db in
                let statement = try db.cachedStatement(sql: table.insert)
                for row in rows {
                    do {
                        try statement.execute(arguments: StatementArguments(row))
                        count += db.changesCount
                    } catch {
                        continue
                    }
                }
            }
        } catch {
            return 0
        }
        return count
    }
}

/// Keys behind one that lies before damage, each further on than the one before.
enum SalvageProbes {
    /// From a digit to the last of the small letters.
    private static let steps: UInt32 = 74

    /// Whether SQLite orders a key as it is known here. Damage can make anything of one: bytes that are no text, and text
    /// that is no UTF-8, which comes as U+FFFD.
    static func isUsable(_ key: DatabaseValue) -> Bool {
        switch key.storage {
        case .int64: true
        case .string(let text): !text.unicodeScalars.contains("\u{FFFD}")
        case .null, .double, .blob: false
        }
    }

    /// Numbers: steps that double. Texts, which SQLite orders by their UTF-8: the key with its last character counted up
    /// as far as `steps`, then the same of the character before without the last, and so on. Nothing known: the texts of
    /// one character, and the numbers from 1.
    static func after(_ key: DatabaseValue?) -> [DatabaseValue] {
        switch key?.storage {
        case .int64(let number): numbers(after: number)
        case .string(let text): texts(after: text)
        case nil: numbers(after: 0) + (1...127).map { String(UnicodeScalar(UInt8($0))).databaseValue }
        default: []
        }
    }

    private static func numbers(after number: Int64) -> [DatabaseValue] {
        (0..<62).compactMap { step in
            let sum = number.addingReportingOverflow(1 << step)
            return sum.overflow ? nil : sum.partialValue.databaseValue
        }
    }

    private static func texts(after text: String) -> [DatabaseValue] {
        var scalars = Array(text.unicodeScalars)
        var found: [DatabaseValue] = []
        while let last = scalars.popLast() {
            for next in last.value + 1...last.value + steps {
                // Surrogates are no characters.
                guard let scalar = UnicodeScalar(next) else { continue }
                var probe = String.UnicodeScalarView(scalars)
                probe.append(scalar)
                found.append(String(probe).databaseValue)
            }
        }
        return found
    }
}
