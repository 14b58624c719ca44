// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
public import JobModel

/// The grammar of JSON Lines lists: one object a line. Fed line by line; knows no file and no clock.
///
/// Objects are decoded by Foundation's JSONDecoder; lines have a limit, and its recursion is bounded by its own depth limit
/// of 512. Every key is checked: an unknown one, or a value of the wrong type, costs the line.
public struct JSONLinesParser: Sendable {
    /// An entry with digests of pieces may take so many bytes, any other 64 KiB.
    static let lineLimit = 1_572_864

    private let rules: ListRules
    private var isFirst = true
    /// The list's defaults, once its first line has been read.
    public private(set) var defaults: JobOptions?

    public init(rules: ListRules) { self.rules = rules }

    /// Where reading may start again: every line stands for itself.
    public func mark(next: ListMark) -> ListMark { next }

    /// Goes on behind entries that are in the ledger already. The defaults must have been read before.
    public mutating func resume() { isFirst = false }

    /// - Throws: defaults that no entry may run under: then the list has no good entry at all.
    public mutating func take(_ line: ListLine) throws(ListRefusal) -> ListYield {
        var yield = ListYield()
        switch line.content {
        case .tooLong: yield.entries.append(.bad(line.number, .badLine, "longer than 64 KiB"))
        case .nul: yield.entries.append(.bad(line.number, .badLine, "a NUL byte in it"))
        case .bytes(let bytes):
            if bytes.trimmed.isEmpty { return yield }
            if let entry = try entry(bytes, line.number, &yield) { yield.entries.append(entry) }
        }
        if defaults == nil { defaults = JobOptions() }
        isFirst = false
        return yield
    }

    /// The end of the list.
    public mutating func finish() throws(ListRefusal) -> ListYield {
        if defaults == nil { defaults = JobOptions() }
        return ListYield()
    }

    private mutating func entry(
        _ bytes: [UInt8], _ line: Int, _ yield: inout ListYield
    ) throws(ListRefusal) -> ListEntry? {
        // JSONDecoder repairs what is not UTF-8 in some places and refuses it in others.
        guard String(validating: bytes, as: UTF8.self) != nil else {
            return .bad(line, .badLine, "not UTF-8")
        }
        // Foundation puts U+FFFD for half a surrogate pair: that would fetch another URL than the one written.
        if JSONEscapes.hasLoneSurrogate(bytes) { return .bad(line, .badLine, "half a surrogate pair in it") }
        let object: JSONEntry
        do {
            object = try JSONDecoder().decode(JSONEntry.self, from: Data(bytes))
        } catch {
            return .bad(line, .badLine, JSONMistake(error).message)
        }
        if case .defaults(let result) = object {
            guard isFirst else { return .bad(line, .badLine, "defaults stand on the first line only") }
            switch result {
            case .success(var options):
                if options.out != nil {
                    options.out = nil
                    yield.remarks.append(
                        ListRemark(
                            level: .warning, line: line, message: "out is dropped from a list's defaults"))
                }
                options.clearLimits(over: nil)
                defaults = options
            case .failure(let mistake):
                throw ListRefusal("line \(line): the list's defaults are no good: \(mistake.message)")
            }
            return nil
        }
        let entry = ListEntry(line: line, object, defaults: defaults, rules: rules)
        if bytes.count > ListLine.limit, entry.pieces == nil {
            return .bad(line, .badLine, "longer than 64 KiB")
        }
        return entry
    }
}

extension ListEntry {
    fileprivate init(line: Int, _ object: JSONEntry, defaults: JobOptions?, rules: ListRules) {
        switch object {
        case .download(let urls, var options, let pieces):
            options.clearLimits(over: defaults)
            self.init(line: line, body: .urls(urls), options: SharedOptions(options))
            self.pieces = pieces
        case .sum(let from, let to, let options):
            let range = SumBound.bound(from).flatMap { from in
                SumBound.bound(to).flatMap { SumBound.range(from: from, to: $0, maxTerms: rules.maxSumTerms) }
            }
            switch range {
            case .success(let range):
                self.init(line: line, body: .sum(range), options: SharedOptions(options))
            case .failure(let error): self = .bad(line, error.code, error.message)
            }
        case .bad(let mistake):
            self = .bad(line, mistake.key == nil ? .badLine : .badOption, mistake.message)
        case .defaults:
            preconditionFailure("defaults are no entry")
        }
    }
}
