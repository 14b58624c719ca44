// SPDX-License-Identifier: Apache-2.0

import ControlClient
import Glibc
import JobModel

/// What is to be posted, read from front to end, closed with its last reference.
final class InputFile {
    private let descriptor: Int32
    private let path: String
    private var left: Int64 = 0

    init(descriptor: Int32, path: String) {
        self.descriptor = descriptor
        self.path = path
    }
    deinit { if descriptor != STDIN_FILENO { close(descriptor) } }

    /// All there is, with its length. What is appended to a file meanwhile belongs to no length that was announced.
    ///
    /// A pipe is read to its end first, into a file without a name: whoever fills it may be silent for as long as it
    /// likes, while the daemon gives a request that stands still five seconds. How long a list may be is the
    /// daemon's to say (`limits.max_list_size`), and it does by the length, before it takes a byte; here the
    /// temporary directory is the bound.
    func whole() throws(ClientError) -> ControlRequest.Body {
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else { throw failure(path, Self.reason()) }
        switch status.st_mode & S_IFMT {
        case S_IFDIR: throw failure(path, "is a directory")
        case S_IFREG:
            return stream(size: Int64(status.st_size) - Int64(max(0, lseek(descriptor, 0, SEEK_CUR))))
        default: return try spooled()
        }
    }

    private func stream(size: Int64) -> ControlRequest.Body {
        left = max(0, size)
        return .stream(size: left, next: { () throws(TransportError) in try self.read() })
    }

    private func read() throws(TransportError) -> [UInt8]? {
        guard left > 0 else { return nil }
        guard let bytes = block(atMost: Int(min(left, 65_536))) else {
            throw TransportError(.input, "\(Masking.text(path)): \(Self.reason())")
        }
        guard !bytes.isEmpty else {
            throw TransportError(.input, "\(Masking.text(path)): became shorter while it was read")
        }
        left -= Int64(bytes.count)
        return bytes
    }

    private func spooled() throws(ClientError) -> ControlRequest.Body {
        let folder = unsafe getenv("TMPDIR").map { unsafe String(cString: $0) } ?? ""
        let place = folder.isEmpty ? "/tmp" : folder
        var name = Array("\(place)/dlctl-XXXXXX".utf8CString)
        let number = unsafe name.withUnsafeMutableBufferPointer { unsafe mkstemp($0.baseAddress!) }
        guard number >= 0 else { throw failure(place, Self.reason()) }
        let copy = InputFile(descriptor: number, path: path)
        _ = unsafe name.withUnsafeBufferPointer { unsafe unlink($0.baseAddress!) }
        var size: Int64 = 0
        while true {
            guard let bytes = block(atMost: 65_536) else { throw failure(path, Self.reason()) }
            if bytes.isEmpty { break }
            guard copy.append(bytes) else { throw failure(place, Self.reason()) }
            size += Int64(bytes.count)
        }
        guard lseek(number, 0, SEEK_SET) == 0 else { throw failure(place, Self.reason()) }
        return copy.stream(size: size)
    }

    /// The next bytes, none at the end; nil: `errno` says why.
    private func block(atMost room: Int) -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: room)
        var count = unsafe Glibc.read(descriptor, &buffer, room)
        while count < 0, errno == EINTR { count = unsafe Glibc.read(descriptor, &buffer, room) }
        return count < 0 ? nil : Array(buffer[..<count])
    }

    /// False: `errno` says why.
    private func append(_ bytes: [UInt8]) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { unsafe write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }

    private func failure(_ object: String, _ why: String) -> ClientError {
        ClientError(.io, "\(Masking.text(object)): \(why)")
    }

    static func reason() -> String { unsafe String(cString: strerror(errno)) }
}
