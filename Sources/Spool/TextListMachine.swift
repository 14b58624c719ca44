// SPDX-License-Identifier: Apache-2.0

public import JobModel

/// The grammar of text lists: aria2's input file, strict where aria2 drops a line without a word. Fed line by line;
/// knows no file and no clock.
///
/// `#` in column 0 is a comment, also between an entry and its options; blank lines end nothing; a line that begins
/// with neither space nor TAB is an entry, its URLs separated by TAB; indented lines are its options; indented lines
/// before the first entry are the list's defaults.
public struct TextListMachine: Sendable {
    /// How many bad option lines one entry may have before it fails as a whole: what is pending stays bounded.
    static let pendingLimit = 200

    private enum State: Sendable {
        /// Before the first entry.
        case defaults
        /// An entry whose options are being read; leaves with the next entry or the end.
        case entry(Pending)
        /// The entry above has already come out as bad: its further options are dropped.
        case dead
    }
    private struct Pending: Sendable {
        var line: Int
        var offset: Int64
        var head: ListEntry.Body
        var options = TextOptions()
    }

    private var state: State
    /// Bad option lines that wait behind the entry above them, so that entries come out in line order.
    private var held: [ListEntry] = []
    private var block = TextOptions()
    private let rules: ListRules
    private var namesRemarked: Set<String> = []

    /// The list's defaults; complete with the first entry.
    public private(set) var defaults: JobOptions?

    public init(rules: ListRules) {
        self.rules = rules
        state = .defaults
    }

    /// Where reading may start again, given the first line that has not been fed.
    public func mark(next: ListMark) -> ListMark {
        switch state {
        case .entry(let pending): ListMark(offset: pending.offset, line: pending.line - 1)
        // Bad lines among the defaults wait for the first entry.
        case .defaults where !held.isEmpty: ListMark(offset: 0, line: 0)
        case .defaults, .dead: next
        }
    }

    /// Goes on behind entries that are in the ledger already: what is indented here belongs to one of them.
    /// The defaults must have been read before.
    public mutating func resume() {
        held = []
        state = .dead
    }

    /// - Throws: defaults that no entry may run under: then the list has no good entry at all.
    public mutating func take(_ line: ListLine) throws(ListRefusal) -> ListYield {
        var yield = ListYield()
        guard let first = line.first, first != UInt8(ascii: "#") else { return yield }
        let isIndented = first == UInt8(ascii: " ") || first == UInt8(ascii: "\t")
        switch line.content {
        case .bytes(let bytes):
            let text = bytes.trimmed
            if text.isEmpty { return yield }
            if isIndented {
                try option(text, line.number, &yield)
            } else {
                try flush(&yield)
                begin(bytes, line)
            }
        case .tooLong:
            try unreadable("longer than 64 KiB", isIndented: isIndented, line, &yield)
        case .nul:
            try unreadable("a NUL byte in it", isIndented: isIndented, line, &yield)
        }
        return yield
    }

    /// The end of the list.
    public mutating func finish() throws(ListRefusal) -> ListYield {
        var yield = ListYield()
        try flush(&yield)
        return yield
    }

    private mutating func begin(_ bytes: [UInt8], _ line: ListLine) {
        state = .entry(
            Pending(
                line: line.number, offset: line.offset, head: TextEntryHead.read(bytes, line.number, rules)))
    }

    /// Brings out the entry above and its bad lines, or closes the defaults.
    private mutating func flush(_ yield: inout ListYield) throws(ListRefusal) {
        switch state {
        case .defaults: try closeDefaults(&yield)
        case .entry(let pending): yield.entries.append(entry(pending))
        case .dead: break
        }
        yield.entries += held
        held.removeAll(keepingCapacity: true)
        state = .dead
    }

    private func entry(_ pending: Pending) -> ListEntry {
        // Nearly every line of a long list.
        if pending.options.isEmpty { return ListEntry(line: pending.line, body: pending.head) }
        do {
            var (options, gid) = try pending.options.resolved(over: block)
            options.clearLimits(over: defaults)
            return ListEntry(
                line: pending.line, body: pending.head, options: SharedOptions(options), gid: gid)
        } catch {
            return ListEntry(line: pending.line, body: .bad(error))
        }
    }

    private mutating func closeDefaults(_ yield: inout ListYield) throws(ListRefusal) {
        for name in [TextOptions.Name.checksum, .gid, .id] {
            guard let value = block.remove(name) else { continue }
            throw ListRefusal(
                "line \(value.line): \(name.rawValue) belongs to an entry, not to the list's defaults")
        }
        if let out = block.remove(.out) {
            yield.remarks.append(
                ListRemark(level: .warning, line: out.line, message: "out= is dropped from a list's defaults")
            )
        }
        do {
            var options = try block.resolved(over: nil).options
            options.clearLimits(over: nil)
            defaults = options
        } catch {
            throw ListRefusal("the list's defaults are no good: \(error.message)")
        }
    }

    private mutating func option(
        _ text: ArraySlice<UInt8>, _ line: Int, _ yield: inout ListYield
    ) throws(ListRefusal) {
        guard let equals = text.firstIndex(of: UInt8(ascii: "=")) else {
            let hint = text.contains(subsequence: "://") ? "; a URL must begin in the first column" : ""
            return try badOption(line, "an indented line is an option, name=value\(hint)", &yield)
        }
        let name = text[..<equals].trimmed
        guard !name.isEmpty, name.allSatisfy(Self.isNameByte) else {
            let hint = name.contains(subsequence: "://") ? "; a URL must begin in the first column" : ""
            return try badOption(line, "an option's name is made of a-z, 0-9 and -\(hint)", &yield)
        }
        let word = String(decoding: name, as: UTF8.self)
        let value = String(validating: text[(equals + 1)...].trimmed, as: UTF8.self)
        switch state {
        case .defaults:
            var defaults = block
            set(word, value, line, in: &defaults, &yield)
            block = defaults
        case .entry(var pending):
            set(word, value, line, in: &pending.options, &yield)
            state = .entry(pending)
        case .dead: break
        }
    }

    private mutating func set(
        _ name: String, _ value: String?, _ line: Int, in options: inout TextOptions, _ yield: inout ListYield
    ) {
        let known = TextOptions.Name(rawValue: name)
        guard known != nil || name == "header" else { return remark(name, line, &yield) }
        guard let value else { return options.fail(TextOptions.error(line, name, "the value is not UTF-8")) }
        if let known { options.set(known, value, line: line) } else { options.addHeader(value, line: line) }
    }

    private mutating func remark(_ name: String, _ line: Int, _ yield: inout ListYield) {
        // Once a name and list; a list that invents names without end is not worth more memory.
        guard namesRemarked.count < 256, namesRemarked.insert(name).inserted else { return }
        if AriaOptions.known.contains(name) {
            yield.remarks.append(
                ListRemark(
                    level: .note, line: line, message: "\(name)= is accepted, and changes nothing here"))
        } else {
            yield.remarks.append(
                ListRemark(
                    level: .warning, line: line,
                    message: "\(excerpt(name))= is no option that dld or aria2 know"))
        }
    }

    /// A line that is no option at all is an entry of its own in the results; the entry above goes on.
    private mutating func badOption(
        _ line: Int, _ message: String, _ yield: inout ListYield
    ) throws(ListRefusal) {
        let bad = ListEntry.bad(line, .badLine, message)
        switch state {
        case .dead:
            yield.entries.append(bad)
            return
        case .defaults:
            held.append(bad)
            if held.count > Self.pendingLimit {
                throw ListRefusal(
                    "more than \(Self.pendingLimit) bad lines before the first entry: \(bad.badMessage)")
            }
        case .entry(let pending):
            held.append(bad)
            if held.count > Self.pendingLimit {
                yield.entries.append(
                    .bad(pending.line, .badLine, "more than \(Self.pendingLimit) bad lines among its options")
                )
                yield.entries += held
                held = []
                state = .dead
            }
        }
    }

    /// A line that cannot be read. As an option it costs its entry: what it asked for is not known.
    private mutating func unreadable(
        _ message: String, isIndented: Bool, _ line: ListLine, _ yield: inout ListYield
    ) throws(ListRefusal) {
        switch state {
        case .entry(var pending) where isIndented:
            pending.options.fail(JobError(.badLine, "line \(line.number): \(message)"))
            state = .entry(pending)
        case .defaults where isIndented, .dead where isIndented:
            try badOption(line.number, message, &yield)
        case .defaults, .entry, .dead:
            try flush(&yield)
            yield.entries.append(.bad(line.number, .badLine, message))
        }
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte || UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte
            || byte == UInt8(ascii: "-")
    }
}

extension ListEntry {
    var badMessage: String {
        if case .bad(let error) = body { error.message } else { "" }
    }
}

extension JobOptions {
    /// A limit of 0 says "none": dropped where there is nothing to clear, kept where it clears the list's default.
    mutating func clearLimits(over defaults: JobOptions?) {
        if maxRate == 0, defaults?.maxRate == nil { maxRate = nil }
        if lowestSpeed == 0, defaults?.lowestSpeed == nil { lowestSpeed = nil }
    }
}
