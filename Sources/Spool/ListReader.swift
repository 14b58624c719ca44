// SPDX-License-Identifier: Apache-2.0

public import JobModel
public import LinuxKit

/// Reads a list file as a stream: chunk, lines, entries, in slices of bounded size. Holds one chunk, one line and one
/// entry, whatever the file. Needs no loop and no spool; one thread at a time.
public final class ListReader {
    /// What one call of `next` brings.
    public struct Slice: Sendable {
        public var entries: [ListEntry] = []
        public var remarks: [ListRemark] = []
        /// Where reading may start again after these entries.
        public var mark: ListMark
        public var isAtEnd = false
        /// Why the text ended before its end: what came before it stands.
        public var trouble: String?
    }
    /// A slice ends here; what one line can add on top stays below a batch's 1,000.
    static let entriesPerSlice = 1000 - TextListMachine.pendingLimit - 2
    static let bytesPerSlice = 1 << 20
    /// How much of the text's beginning decides whether it is text.
    static let headSize = 64 << 10

    private var bytes: ListBytes
    /// One of them, by the list's format.
    private var text: TextListMachine?
    private var json: JSONLinesParser?
    /// Or this, which has no lines.
    private var metalink: MetalinkReader?
    private var scanner: LineScanner
    private let lineLimit: Int
    private var chunk: [UInt8] = []
    private var start = 0
    private var isHeadChecked = false
    /// Entries before this place are in the ledger already.
    private var resumesAt: ListMark?
    private var isAtEnd = false

    /// - Parameters:
    ///   - descriptor: open for reading, at its beginning.
    ///   - object: its name in messages.
    public convenience init(
        _ descriptor: consuming Descriptor, object: String, format: ListFormat, isGzip: Bool, rules: ListRules
    ) {
        let file = OpenFile(descriptor, path: object)
        let name = object.split(separator: "/").last.map { String($0) } ?? object
        self.init(ListBytes(file, isGzip: isGzip), name: name, format: format, rules: rules)
    }

    /// - Parameters:
    ///   - name: what its user calls it.
    ///   - position: goes on behind what the ledger has; the list's defaults are read again first.
    init(
        _ bytes: ListBytes, name: String, format: ListFormat, rules: ListRules,
        from position: ListPosition = ListPosition()
    ) {
        self.bytes = bytes
        lineLimit = format == .jsonLines ? JSONLinesParser.lineLimit : ListLine.limit
        scanner = LineScanner(limit: lineLimit)
        switch format {
        case .text: text = TextListMachine(rules: rules)
        case .jsonLines: json = JSONLinesParser(rules: rules)
        case .metalink:
            metalink = MetalinkReader(bytes, name: name, rules: rules, from: position)
            return
        }
        if position.entries > 0 { resumesAt = ListMark(offset: position.offset, line: position.line) }
    }

    /// The list's defaults; known with the first entry.
    public var defaults: JobOptions? {
        metalink != nil ? JobOptions() : text?.defaults ?? json?.defaults
    }

    /// Reads on: at most some 800 entries or 1 MiB of text. A slice may be empty.
    ///
    /// - Throws: a file that is no list at all; never after a slice had an entry.
    public func next() throws(ListRefusal) -> Slice {
        if let metalink { return try Self.next(of: metalink) }
        var slice = Slice(mark: mark)
        let begin = scanner.position
        do {
            while !isAtEnd, slice.entries.count < Self.entriesPerSlice,
                scanner.position - begin < Int64(Self.bytesPerSlice)
            {
                if start == chunk.count, try !refill() {
                    isAtEnd = true
                    if let last = scanner.finish() { add(try feed(last), to: &slice) }
                    add(try finish(), to: &slice)
                } else if let line = scanner.next(in: chunk, from: &start) {
                    add(try feed(line), to: &slice)
                    if resumesAt != nil, defaults != nil { try jump(&slice) }
                }
            }
        } catch let refusal as ListRefusal {
            throw refusal
        } catch {
            isAtEnd = true
            // The half line and the entry under way are not what their writer meant: left out.
            slice.trouble = (error as? ListReadError)?.message ?? "\(error)"
        }
        slice.mark = mark
        slice.isAtEnd = isAtEnd
        return slice
    }

    private static func next(of metalink: MetalinkReader) throws(ListRefusal) -> Slice {
        do {
            return try metalink.next()
        } catch let refusal as ListRefusal {
            throw refusal
        } catch {
            var slice = Slice(mark: ListMark(offset: 0, line: 0))
            slice.isAtEnd = true
            slice.trouble = (error as? ListReadError)?.message ?? "\(error)"
            return slice
        }
    }

    private var mark: ListMark {
        let next = ListMark(offset: scanner.offset, line: scanner.lines)
        if let resumesAt { return resumesAt }
        return text?.mark(next: next) ?? json?.mark(next: next) ?? next
    }

    private func feed(_ line: ListLine) throws(ListRefusal) -> ListYield {
        // In place, through the optionals: a copy of the machine would copy its arrays line by line.
        if text != nil { return try text!.take(line) }
        return try json!.take(line)
    }

    private func finish() throws(ListRefusal) -> ListYield {
        if text != nil { return try text!.finish() }
        return try json!.finish()
    }

    private func add(_ yield: ListYield, to slice: inout Slice) {
        // While only the defaults are read again, what comes out has been seen before.
        guard resumesAt == nil else { return }
        slice.entries += yield.entries
        slice.remarks += yield.remarks
    }

    /// The next chunk; false at the end.
    private func refill() throws -> Bool {
        guard let next = try bytes.next() else { return false }
        chunk = next
        start = 0
        if !isHeadChecked {
            isHeadChecked = true
            // Reads may be short; the head is judged as a whole.
            while chunk.count < Self.headSize, let more = try bytes.next() { chunk += more }
            try Self.checkHead(chunk.prefix(Self.headSize))
        }
        return true
    }

    /// From the defaults to where the ledger's entries end.
    private func jump(_ slice: inout Slice) throws {
        guard let place = resumesAt else { return }
        text?.resume()
        json?.resume()
        try moveTo(place)
        scanner = LineScanner(offset: place.offset, lines: place.line, limit: lineLimit)
        resumesAt = nil
    }

    private func moveTo(_ place: ListMark) throws {
        if bytes.isSeekable {
            try bytes.seek(to: place.offset)
            (chunk, start) = ([], 0)
            return
        }
        // A gzip stream has no places to jump to: the text up to there is unpacked once more and dropped.
        try bytes.rewind()
        (chunk, start) = ([], 0)
        var position: Int64 = 0
        while position < place.offset {
            guard let next = try bytes.next() else {
                throw ListReadError.damaged("it is shorter than when it was read before")
            }
            chunk = next
            start = Int(min(Int64(next.count), place.offset - position))
            position += Int64(next.count)
        }
    }

    /// What tells a text from something else.
    static func checkHead(_ head: ArraySlice<UInt8>) throws(ListRefusal) {
        if head.starts(with: [0xFF, 0xFE]) || head.starts(with: [0xFE, 0xFF]) {
            throw ListRefusal("it is UTF-16; save it as UTF-8. \(ListName.whatIsTaken)")
        }
        if head.contains(0) {
            throw ListRefusal(
                "it is no text: there is a NUL byte in its first 64 KiB. \(ListName.whatIsTaken)")
        }
    }
}
