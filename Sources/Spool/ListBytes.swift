// SPDX-License-Identifier: Apache-2.0

import LinuxKit
import SystemPackage

/// Why a list's text ended before its end.
enum ListReadError: Error {
    case system(SystemError)
    /// The gzip stream is cut short or damaged.
    case damaged(String)

    var message: String {
        switch self {
        case .system(let error): error.description
        case .damaged(let what): what
        }
    }
}

/// The text of an open list, chunk by chunk, unpacked where it is gzip. Plain reads, no mmap: a file that shrinks
/// under a mapping would kill the process (SIGBUS).
final class ListBytes {
    static let chunk = 128 << 10

    let file: OpenFile
    private var inflater: Inflater?
    /// Bytes of the file that may be read; the rest came after the file was checked.
    private let limit: Int64
    private var budget: Int64
    private var isInMember = false
    private var isEmpty = true
    private var hasEnded = false

    /// - Parameter limit: bytes of the file to read at most; a gzip file is read as far as it was checked.
    init(_ file: OpenFile, isGzip: Bool, limit: Int64 = .max) {
        self.file = file
        inflater = isGzip ? Inflater() : nil
        self.limit = limit
        budget = limit
    }

    /// Starts over at the beginning.
    func rewind() throws(ListReadError) {
        try seek(to: 0)
        if inflater != nil { inflater = Inflater() }
        budget = limit
        (isInMember, isEmpty, hasEnded) = (false, true, false)
    }

    /// Goes to a place in a plain file.
    func seek(to offset: Int64) throws(ListReadError) {
        do { try file.seek(to: offset) } catch { throw .system(error) }
    }

    var isSeekable: Bool { inflater == nil }

    /// nil at the end, never empty. A plain file that has grown since goes on.
    func next() throws(ListReadError) -> [UInt8]? {
        guard let inflater else {
            let bytes = try read()
            return bytes.isEmpty ? nil : bytes
        }
        while !hasEnded {
            switch inflater.step(upTo: Self.chunk) {
            case .output(let text):
                isInMember = true
                return text
            case .needsInput:
                let bytes = try read()
                if bytes.isEmpty {
                    hasEnded = true
                    if isInMember || isEmpty { throw .damaged("it is cut short") }
                } else {
                    inflater.feed(bytes)
                    isInMember = true
                    isEmpty = false
                }
            case .memberEnd:
                isInMember = false
                hasEnded = try !beginMember(inflater)
            case .damaged(let what):
                hasEnded = true
                throw .damaged(what)
            }
        }
        return nil
    }

    /// Whether another member follows. Zeros after the last one are padding (tapes, some uploaders), as for gzip(1).
    private func beginMember(_ inflater: Inflater) throws(ListReadError) -> Bool {
        while true {
            let zeros = inflater.rest.prefix { $0 == 0 }.count
            inflater.skip(zeros)
            guard let first = inflater.rest.first else {
                let bytes = try read()
                if bytes.isEmpty { return false }
                inflater.feed(bytes)
                continue
            }
            guard first == 0x1F else { throw .damaged("something follows its gzip data") }
            inflater.reset()
            isInMember = true
            return true
        }
    }

    private func read() throws(ListReadError) -> [UInt8] {
        let length = Int(min(Int64(Self.chunk), budget))
        guard length > 0 else { return [] }
        do {
            let bytes = try file.read(upTo: length)
            if budget != .max { budget -= Int64(bytes.count) }
            return bytes
        } catch {
            throw .system(error)
        }
    }
}

/// An open file that several readers use in turn.
final class OpenFile {
    let descriptor: Descriptor
    /// For messages.
    let path: String

    init(_ descriptor: consuming Descriptor, path: String) {
        self.descriptor = descriptor
        self.path = path
    }

    func read(upTo limit: Int) throws(SystemError) -> [UInt8] {
        // Regular files never block: nil does not come.
        try descriptor.read(upTo: limit, path) ?? []
    }
    func seek(to offset: Int64) throws(SystemError) {
        do { try descriptor.fileDescriptor.seek(offset: offset, from: .start) } catch {
            throw SystemError(error as? Errno ?? .ioError, "seek", path)
        }
    }
    func status() throws(SystemError) -> FileStatus { try descriptor.status(path) }
}
