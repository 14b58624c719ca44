// SPDX-License-Identifier: Apache-2.0

import JobModel
import LinuxKit

/// Reads a Metalink as a stream, in slices of bounded size. Holds one chunk, one `<file>`, and what one piece of text of
/// `feedBytes` can bring out.
///
/// XML has no places to jump to. Where the ledger has entries already, the text is read from its beginning and as many
/// are passed over.
final class MetalinkReader {
    static let entriesPerSlice = 900
    static let bytesPerSlice: Int64 = 1 << 20
    /// An element with nothing in it has some 20 bytes.
    private static let feedBytes = 16 << 10

    private let bytes: ListBytes
    private let name: String
    private let maxSize: Int64?
    private let grammar: MetalinkGrammar
    private let scanner: XMLScanner
    private var chunk: ArraySlice<UInt8> = []
    private var isHeadChecked = false
    private var isAtEnd = false
    /// Bytes of text read so far.
    private var position: Int64 = 0
    private var pending: [ListEntry] = []
    private var start = 0
    /// Entries that the ledger has.
    private var passing: Int
    private var hasGivenOut: Bool
    private var lastLine: Int

    /// - Parameter name: what its user calls it; goes before line and column where it is no XML.
    init(_ bytes: ListBytes, name: String, rules: ListRules, from position: ListPosition = ListPosition()) {
        self.bytes = bytes
        self.name = name
        maxSize = rules.maxListSize
        passing = position.entries
        hasGivenOut = position.entries > 0
        lastLine = position.line
        grammar = MetalinkGrammar(rules: rules)
        scanner = XMLScanner(namespace: MetalinkGrammar.namespace, taker: grammar)
    }

    /// Reads on: at most 900 entries or 1 MiB of text.
    ///
    /// - Throws: `ListRefusal` where it is no Metalink, unless a slice had an entry; `ListReadError`.
    func next() throws -> ListReader.Slice {
        var slice = ListReader.Slice(mark: ListMark(offset: position, line: lastLine))
        let begin = position
        do {
            while !isAtEnd, pending.count - start < Self.entriesPerSlice,
                position - begin < Self.bytesPerSlice
            {
                try readOn()
                pass()
            }
        } catch let fault as XMLFault {
            isAtEnd = true
            let reason = "\(name):\(fault.line):\(fault.column): \(Masking.line(fault.message))"
            guard hasGivenOut || start < pending.count else { throw ListRefusal(reason) }
            slice.trouble = reason
        }
        let taken = pending[start...].prefix(Self.entriesPerSlice)
        slice.entries = Array(taken)
        slice.remarks = grammar.remarks
        grammar.remarks = []
        start += taken.count
        if start == pending.count { (pending, start) = ([], 0) }
        if let last = taken.last {
            hasGivenOut = true
            lastLine = last.line
        }
        slice.mark = ListMark(offset: position, line: lastLine)
        slice.isAtEnd = isAtEnd && start == pending.count
        return slice
    }

    /// A piece of text through the scanner.
    private func readOn() throws {
        if chunk.isEmpty {
            guard let next = try bytes.next() else {
                isAtEnd = true
                try scanner.finish()
                return
            }
            if !isHeadChecked {
                isHeadChecked = true
                try ListReader.checkHead(next.prefix(ListReader.headSize))
            }
            chunk = next[...]
        }
        let piece = chunk.prefix(Self.feedBytes)
        chunk = chunk.dropFirst(piece.count)
        position += Int64(piece.count)
        if let maxSize, position > maxSize {
            throw ListRefusal("its text is over limits.max_list_size, \(maxSize) bytes")
        }
        try scanner.feed(piece)
        if let refusal = grammar.refusal { throw refusal }
    }

    /// Takes over what has come, without what the ledger has.
    private func pass() {
        guard !grammar.entries.isEmpty else { return }
        let known = min(passing, grammar.entries.count)
        passing -= known
        if known > 0 { grammar.remarks = [] }
        pending += grammar.entries.dropFirst(known)
        grammar.entries = []
    }
}
