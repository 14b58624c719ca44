// SPDX-License-Identifier: Apache-2.0

import ControlAPI
public import JobModel

/// What a view needs to know of where it is shown.
public struct ViewStyle: Sendable {
    /// Columns; views fit 80 and use up to 120.
    public var columns: Int
    public var isColored: Bool
    /// Every row of the document, not only the first of each section.
    public var showsAll: Bool
    /// A moment as local time; the second flag asks for seconds.
    public var clock: @Sendable (WallTime, _ seconds: Bool) -> String

    /// - Parameter columns: held between 80 and 120: narrower cannot hold the tables, wider is hard to
    /// follow.
    public init(
        columns: Int = 80, isColored: Bool = false, showsAll: Bool = false,
        clock: @escaping @Sendable (WallTime, _ seconds: Bool) -> String
    ) {
        self.columns = min(max(columns, 80), 120)
        self.isColored = isColored
        self.showsAll = showsAll
        self.clock = clock
    }

    /// Text in a tone, where colour is wanted. Meaning never hangs on the tone alone.
    func paint(_ text: String, _ tone: Tone) -> String {
        guard isColored, tone != .plain, !text.isEmpty else { return text }
        return "\u{1B}[\(tone.rawValue)m\(text)\u{1B}[0m"
    }

    func time(_ moment: Timestamp) -> String { clock(moment.time, false) }
}

/// SGR parameters. Few and basic, so that every terminal's own palette decides how they look.
enum Tone: String, Sendable {
    case plain = ""
    case strong = "1"
    case dim = "2"
    case bad = "31"
    case good = "32"
    case warning = "33"
    case strongBad = "1;31"
    case strongGood = "1;32"
    case strongWarning = "1;33"
}

/// A piece of text for a table's cell.
struct Cell: Sendable {
    var text: String
    var tone = Tone.plain
    /// Text from outside: controls are escaped.
    init(_ text: String, _ tone: Tone = .plain) {
        self.text = Masking.text(text)
        self.tone = tone
    }
    static let empty = Cell("")
}

/// Aligned columns that fit a width: every column is as wide as its widest cell, one gives way.
struct TextTable {
    struct Column {
        enum Side { case left, right }
        var title: String
        var side = Side.left
        /// Takes what is left and is cut in the middle.
        var isFlexible = false
        init(_ title: String, _ side: Side = .left, flexible: Bool = false) {
            self.title = title
            self.side = side
            isFlexible = flexible
        }
    }
    let columns: [Column]
    private(set) var rows: [[Cell]] = []
    init(_ columns: [Column]) { self.columns = columns }

    mutating func add(_ cells: [Cell]) {
        precondition(cells.count == columns.count, "a row has a cell for every column")
        rows.append(cells)
    }

    /// Lines without a trailing space. The heads of columns whose cells are all empty vanish with their
    /// columns.
    func lines(_ style: ViewStyle, indent: Int = 2) -> [String] {
        let isUsed = columns.indices.map { index in
            columns[index].isFlexible || rows.contains { !$0[index].text.isEmpty }
        }
        var widths = columns.indices.map { index -> Int in
            guard isUsed[index] else { return 0 }
            // The first head starts at the margin, its cells are indented.
            let head = TextWidth.columns(columns[index].title) - (index == 0 ? indent : 0)
            return rows.reduce(max(0, head)) { max($0, TextWidth.columns($1[index].text)) }
        }
        let gaps = 2 * max(0, isUsed.count { $0 } - 1)
        let rest = style.columns - indent - gaps
        if let flexible = columns.firstIndex(where: \.isFlexible) {
            let others = widths.reduce(0, +) - widths[flexible]
            widths[flexible] = min(widths[flexible], max(12, rest - others))
        }
        var head: [Cell] = []
        for (index, column) in columns.enumerated() {
            head.append(Cell(column.title, index == 0 ? .strong : .dim))
        }
        var lines = [line(head, widths, isUsed, style, indent: 0, first: widths[0] + indent)]
        for row in rows { lines.append(line(row, widths, isUsed, style, indent: indent, first: widths[0])) }
        return lines
    }

    private func line(
        _ cells: [Cell], _ widths: [Int], _ isUsed: [Bool], _ style: ViewStyle, indent: Int, first: Int
    ) -> String {
        var text = String(repeating: " ", count: indent)
        var pending = ""
        for (index, cell) in cells.enumerated() where isUsed[index] {
            let width = index == 0 ? first : widths[index]
            let shown = TextWidth.truncated(cell.text, to: width)
            let space = String(repeating: " ", count: max(0, width - TextWidth.columns(shown)))
            // The first head begins at the margin, whichever side its cells keep to.
            let isRight = columns[index].side == .right && !(index == 0 && indent == 0)
            // Spaces are only written when text follows: no line ends in one.
            let before = pending + (isRight ? space : "")
            if shown.isEmpty {
                pending = before + (isRight ? "" : space) + "  "
            } else {
                text += before + style.paint(shown, cell.tone)
                pending = (isRight ? "" : space) + "  "
            }
        }
        return text
    }
}
