// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
public import SystemPackage

/// An open file descriptor with one owner: closed when the owner lets go of it.
///
/// Every descriptor made here is close-on-exec. `deinit` cannot report, so whoever cares about the answer of
/// `close` (NFS and quotas report late) calls it. May be handed to another thread by moving it; never used by
/// two at once.
public struct Descriptor: ~Copyable, Sendable {
    /// For calls that take a number. Valid as long as this value lives.
    public let rawValue: Int32

    /// Takes over a descriptor that nobody else closes.
    public init(owning rawValue: Int32) {
        precondition(rawValue >= 0, "no descriptor: \(rawValue)")
        self.rawValue = rawValue
    }

    deinit { _ = Glibc.close(rawValue) }

    /// The same number as swift-system's type, for its methods; owns nothing.
    public var fileDescriptor: FileDescriptor { FileDescriptor(rawValue: rawValue) }

    /// Gives the number away without closing it.
    public consuming func release() -> Int32 {
        let number = rawValue
        discard self
        return number
    }

    /// Closes and reports. Not repeated after EINTR: on Linux the descriptor is gone by then.
    public consuming func close(_ object: String = "") throws(SystemError) {
        let number = rawValue
        discard self
        if Glibc.close(number) == -1, errno != EINTR { throw .last("close", object) }
    }

    /// A second descriptor of the same open file.
    public borrowing func duplicate() throws(SystemError) -> Descriptor {
        let number = rawValue
        return Descriptor(
            owning: try systemCall("duplicate", "descriptor \(number)") { () in dld_duplicate(number, 0) })
    }
}

extension Descriptor {
    /// `openat`, relative to `directory` or else to the working directory.
    public static func open(
        _ path: FilePath, _ mode: FileDescriptor.AccessMode, options: FileDescriptor.OpenOptions = [],
        permissions: FilePermissions = [], in directory: Int32? = nil
    ) throws(SystemError) -> Descriptor {
        let flags = mode.rawValue | options.rawValue
        let number = try systemCall("open", path.string) { () in
            unsafe path.withPlatformString { name in
                unsafe dld_openat(directory ?? AT_FDCWD, name, flags, permissions.rawValue)
            }
        }
        return Descriptor(owning: number)
    }

    /// A directory, for `*at` calls and for `fsync`. Symbolic links on the way are followed.
    public static func openDirectory(
        _ path: FilePath, in directory: Int32? = nil
    ) throws(SystemError) -> Descriptor {
        try open(path, .readOnly, options: [.directory], in: directory)
    }

    /// What `fstat` tells.
    public borrowing func status(_ object: String = "") throws(SystemError) -> FileStatus {
        let number = rawValue
        var raw = stat()
        _ = try systemCall("stat", object) { () in unsafe fstat(number, &raw) }
        return FileStatus(raw)
    }

    /// Reads once, from the current position, into `buffer[start...]`: fewer bytes than there is room for are
    /// normal, 0 is the end. nil: would block.
    public borrowing func read(
        into buffer: inout [UInt8], from start: Int = 0, _ object: String = ""
    ) throws(SystemError) -> Int? {
        let number = rawValue
        while true {
            let count = unsafe buffer.withUnsafeMutableBytes { bytes in
                let room = unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[start...])
                return unsafe Glibc.read(number, room.baseAddress, room.count)
            }
            if count >= 0 { return count }
            if errno == EINTR { continue }
            if errno == EAGAIN { return nil }
            throw .last("read", object)
        }
    }

    /// Reads up to `limit` bytes into a new array; empty at the end. nil: would block.
    public borrowing func read(upTo limit: Int, _ object: String = "") throws(SystemError) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: limit)
        guard let count = try read(into: &bytes, object) else { return nil }
        bytes.removeSubrange(count...)
        return bytes
    }

    /// Writes all of it at the current position: short writes are continued. Blocking descriptors only.
    public borrowing func writeAll(_ bytes: RawSpan, _ object: String = "") throws(SystemError) {
        let number = rawValue
        var done = 0
        while done < bytes.byteCount {
            let rest = bytes.extracting(done..<bytes.byteCount)
            done += try systemCall("write", object) { () in
                unsafe rest.withUnsafeBytes { unsafe Glibc.write(number, $0.baseAddress, $0.count) }
            }
        }
    }

    /// Writes all of it at `offset`, in bytes from the start, without moving the position.
    public borrowing func writeAll(
        _ bytes: RawSpan, at offset: Int64, _ object: String = ""
    ) throws(SystemError) {
        let number = rawValue
        var done = 0
        while done < bytes.byteCount {
            let rest = bytes.extracting(done..<bytes.byteCount)
            let place = off_t(offset) + done
            done += try systemCall("write", object) { () in
                unsafe rest.withUnsafeBytes { unsafe pwrite(number, $0.baseAddress, $0.count, place) }
            }
        }
    }

    /// The same for an array.
    public borrowing func writeAll(_ bytes: [UInt8], _ object: String = "") throws(SystemError) {
        let span = bytes.span
        try writeAll(unsafe span.bytes, object)
    }
}

extension Descriptor {
    /// `fsync`: content and attributes are on the disk. After an error the kernel has dropped the unwritten
    /// pages: never call it again and trust the answer, write the file anew.
    public borrowing func synchronize(_ object: String = "") throws(SystemError) {
        let number = rawValue
        _ = try systemCall("fsync", object) { () in fsync(number) }
    }

    /// `fdatasync`: content and length.
    public borrowing func synchronizeContent(_ object: String = "") throws(SystemError) {
        let number = rawValue
        _ = try systemCall("fdatasync", object) { () in fdatasync(number) }
    }

    /// `fchmod`: exactly these bits, whatever the umask.
    public borrowing func setPermissions(
        _ permissions: FilePermissions, _ object: String = ""
    ) throws(SystemError) {
        let number = rawValue
        _ = try systemCall("chmod", object) { () in fchmod(number, permissions.rawValue) }
    }

    /// Sets both times to this one, in nanoseconds' resolution as far as the file system has it.
    public borrowing func setTimes(milliseconds: Int64, _ object: String = "") throws(SystemError) {
        let number = rawValue
        // Floor division: -1 ms is second -1 and 999 ms.
        var seconds = milliseconds / 1000
        var rest = milliseconds % 1000
        if rest < 0 {
            seconds -= 1
            rest += 1000
        }
        let time = timespec(tv_sec: Int(seconds), tv_nsec: Int(rest) * 1_000_000)
        let times = [time, time]
        _ = try systemCall("set times of", object) { () in unsafe futimens(number, times) }
    }

    /// Sets an extended attribute, over a value that is there. EOPNOTSUPP where the file system has none.
    public borrowing func setAttribute(
        _ name: String, _ value: String, _ object: String = ""
    ) throws(SystemError) {
        let number = rawValue
        let bytes = Array(value.utf8)
        _ = try systemCall("set attribute \(name) of", object) { () in
            unsafe dld_set_attribute(number, name, bytes, bytes.count)
        }
    }

    /// O_NONBLOCK on or off: of the open file, so for all who share it.
    public borrowing func setNonBlocking(_ isOn: Bool) throws(SystemError) {
        let number = rawValue
        let flags = try systemCall("fcntl", "descriptor \(number)") { () in dld_get_status_flags(number) }
        let wanted = isOn ? flags | O_NONBLOCK : flags & ~O_NONBLOCK
        _ = try systemCall("fcntl", "descriptor \(number)") { () in dld_set_status_flags(number, wanted) }
    }
}
