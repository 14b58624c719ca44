// SPDX-License-Identifier: Apache-2.0

/// One line of a list, as the scanner cuts it.
public struct ListLine: Sendable, Hashable {
    public enum Content: Sendable, Hashable {
        /// Without its line end; no longer than the scanner's limit, no NUL.
        case bytes([UInt8])
        /// Over the limit, and never held: its first byte is all that is left.
        case tooLong(first: UInt8)
        /// A NUL byte in it.
        case nul(first: UInt8)
    }
    /// From 1.
    public var number: Int
    /// Where it begins, in bytes of the unpacked text.
    public var offset: Int64
    public var content: Content
    public init(number: Int, offset: Int64, content: Content) {
        self.number = number
        self.offset = offset
        self.content = content
    }
    /// The longest line, in bytes without its end; JSON lines with digests of pieces may be longer.
    public static let limit = 65_536

    var first: UInt8? {
        switch content {
        case .bytes(let bytes): bytes.first
        case .tooLong(let first), .nul(let first): first
        }
    }
}

/// Cuts a stream of bytes into lines. Holds at most one line, up to its limit, whatever comes in.
public struct LineScanner: Sendable {
    private let limit: Int
    private var partial: [UInt8] = []
    /// The line under way is over the limit: its bytes are counted and dropped.
    private var overflow: UInt8?
    /// Where the line under way begins.
    public private(set) var offset: Int64
    /// Bytes taken in so far, from the start of the text.
    public private(set) var position: Int64
    /// Lines given out so far, from the start of the text.
    public private(set) var lines: Int

    /// Starts at a line's begin: `offset` bytes and `lines` lines into the text.
    public init(offset: Int64 = 0, lines: Int = 0, limit: Int = ListLine.limit) {
        self.limit = limit
        self.offset = offset
        position = offset
        self.lines = lines
    }

    /// The next line that ends in `chunk`, and moves `start` behind it; nil once the rest of the chunk is taken in.
    public mutating func next(in chunk: [UInt8], from start: inout Int) -> ListLine? {
        guard let end = Self.newline(in: chunk, from: start) else {
            keep(chunk[start...])
            position += Int64(chunk.count - start)
            start = chunk.count
            return nil
        }
        let line = line(chunk[start..<end])
        position += Int64(end + 1 - start)
        offset = position
        start = end + 1
        return line
    }

    /// The last line, if it came without a line end.
    public mutating func finish() -> ListLine? {
        guard position > offset else { return nil }
        let last = line([])
        offset = position
        return last
    }

    private mutating func keep(_ rest: ArraySlice<UInt8>) {
        guard !rest.isEmpty else { return }
        if overflow != nil { return }
        // One byte over the limit may be the CR of a line that just fits.
        if partial.count + rest.count > limit + 1 {
            overflow = partial.first ?? rest.first
            partial = []
        } else {
            partial.append(contentsOf: rest)
        }
    }

    private mutating func line(_ rest: ArraySlice<UInt8>) -> ListLine {
        lines += 1
        let content = content(rest)
        partial.removeAll(keepingCapacity: true)
        overflow = nil
        return ListLine(number: lines, offset: offset, content: content)
    }

    private mutating func content(_ rest: ArraySlice<UInt8>) -> ListLine.Content {
        keep(rest)
        if let overflow { return .tooLong(first: overflow) }
        var bytes = partial
        // A byte order mark is no part of the first line; one further in is text.
        if offset == 0, bytes.starts(with: [0xEF, 0xBB, 0xBF]) { bytes.removeFirst(3) }
        if bytes.last == UInt8(ascii: "\r") { bytes.removeLast() }
        if bytes.count > limit { return .tooLong(first: bytes[0]) }
        if Bytes.firstIndex(of: 0, in: bytes, from: 0) != nil { return .nul(first: bytes[0]) }
        return .bytes(bytes)
    }

    private static func newline(in chunk: [UInt8], from start: Int) -> Int? {
        Bytes.firstIndex(of: UInt8(ascii: "\n"), in: chunk, from: start)
    }
}
