// SPDX-License-Identifier: Apache-2.0

import Glibc
import SumWorker

/// What sumd prints, and how numbers look in it.
enum Screen {
    /// A line on standard output.
    static func show(_ text: String) { print(text) }

    /// A line on standard error, after what was printed so far.
    static func complain(_ text: String) {
        fflush(nil)
        ByHand.complain(text)
    }

    /// Nanoseconds as milliseconds with one digit behind the point.
    static func milliseconds(_ nanoseconds: Int64) -> String { decimal(Double(nanoseconds) / 1e6, 1) }

    /// Rounded, with so many digits (at least one) behind the point.
    static func decimal(_ value: Double, _ digits: Int) -> String {
        var scale: Double = 1
        for _ in 0..<digits { scale *= 10 }
        let scaled = min(max(0, value * scale), 1e18).rounded()
        let text = String(Int64(scaled))
        let padded = String(repeating: "0", count: max(0, digits + 1 - text.utf8.count)) + text
        let point = padded.index(padded.endIndex, offsetBy: -digits)
        return padded[..<point] + "." + padded[point...]
    }

    /// A whole number in groups of three.
    static func grouped(_ value: Double) -> String {
        let digits = Array(String(Int64(min(max(0, value), 9e18))))
        var text = ""
        for (place, digit) in digits.enumerated() {
            if place > 0, (digits.count - place) % 3 == 0 { text += "," }
            text.append(digit)
        }
        return text
    }

    /// A name from outside, fit for a terminal.
    static func escaped(_ text: String) -> String { ByHand.escaped(text) }
}

/// Columns that align; numbers to the right.
struct Table {
    private let left: Set<Int>
    private var rows: [[String]]

    init(_ head: [String], left: Set<Int>) {
        self.left = left
        rows = [head]
    }

    mutating func add(_ row: [String]) { rows.append(row) }

    var text: String {
        let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        let lines = rows.map { row in
            row.enumerated().map { column, cell in
                let space = String(repeating: " ", count: widths[column] - cell.count)
                return left.contains(column) ? cell + space : space + cell
            }.joined(separator: "  ")
        }
        return lines.joined(separator: "\n")
    }
}
