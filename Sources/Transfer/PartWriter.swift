// SPDX-License-Identifier: Apache-2.0

import JobModel
import LinuxKit
import SystemPackage

/// One part file being written, front to back, in large runs.
///
/// Called inside libcurl's callbacks, so nothing is thrown there: the first error is parked and ends the
/// transfer. The loop's thread only.
final class PartWriter {
    /// Bytes after which the kernel is told to start writing back, so that the last fsync is short.
    static let writebackStep: Int64 = 8 << 20

    let name: String
    let device: UInt64
    let inode: UInt64
    private var file: Descriptor?
    private let pool: GatherPool
    private let heartbeat: Heartbeat
    private var buffer: GatherBuffer?
    /// Where the next write goes: all before it is with the kernel.
    private var place: Int64
    private var writtenBack: Int64
    /// There is more of the file beyond its place: it does not end here.
    private let keepsRest: Bool
    /// Of a resumed part, until the answer has said that it may go on: nothing is changed before.
    private(set) var isUntouched: Bool
    private(set) var failure: SystemError?

    private init(
        _ name: String, _ file: consuming Descriptor, mode: UInt32? = nil, at place: Int64,
        keepsRest: Bool = false, pool: GatherPool, heartbeat: Heartbeat
    ) throws(SystemError) {
        let status = try file.status(name)
        // The umask must not decide what the finished file's mode is; where it agrees that is a call less.
        if let mode, status.permissions.rawValue != mode & 0o777 {
            try file.setPermissions(FilePermissions(rawValue: mode & 0o777), name)
        }
        self.name = name
        device = status.device
        inode = status.inode
        self.pool = pool
        self.heartbeat = heartbeat
        self.place = place
        writtenBack = place
        isUntouched = place > 0
        self.keepsRest = keepsRest
        self.file = consume file
    }

    /// A new part.
    static func create(
        _ name: String, mode: UInt32, in folder: PartFolder, pool: GatherPool
    ) throws(SystemError) -> PartWriter {
        let heartbeat = folder.heartbeat
        heartbeat.enter("open part")
        defer { heartbeat.leave() }
        let file = try folder.create(name, mode: mode)
        return try PartWriter(name, file, mode: mode, at: 0, pool: pool, heartbeat: heartbeat)
    }

    /// A part to go on with; nil where it is not the one that the resume point speaks of.
    static func resume(
        _ name: String, from point: ResumePoint, in folder: PartFolder, pool: GatherPool
    ) throws(SystemError) -> PartWriter? {
        let heartbeat = folder.heartbeat
        heartbeat.enter("open part")
        defer { heartbeat.leave() }
        guard let file = try folder.open(name, from: point) else { return nil }
        return try PartWriter(
            name, file, at: point.bytes, keepsRest: point.ranges != nil, pool: pool, heartbeat: heartbeat)
    }

    /// Writes elsewhere in the same file, in large runs of its own.
    func branch(at place: Int64) throws(SystemError) -> PartWriter {
        let copy: Descriptor
        switch file {
        case .some(let file): copy = try file.duplicate()
        case nil: preconditionFailure("a part that was given away is not written to")
        }
        let branch = try PartWriter(name, copy, at: place, keepsRest: true, pool: pool, heartbeat: heartbeat)
        branch.isUntouched = false
        return branch
    }

    /// Of the file, whoever wrote it.
    func fileSize() throws(SystemError) -> Int64 {
        switch file {
        case .some(let file): try file.status(name).size
        case nil: preconditionFailure("a part that was given away is not looked at")
        }
    }

    /// Everything up to here, or where this writer goes on, is with the kernel.
    var flushedSize: Int64 { place }
    /// Bytes of the file so far, gathered ones included.
    var size: Int64 { place + Int64(buffer?.count ?? 0) }

    /// Makes a resumed part end at its resume point: the answer's first byte goes there.
    func begin(at start: Int64) -> Bool {
        precondition(start == place, "a part goes on where it ends")
        if isUntouched {
            isUntouched = false
            if keepsRest { return failure == nil }
            attempt("truncate part") { () throws(SystemError) in try file!.truncate(to: start, name) }
        }
        return failure == nil
    }

    /// Takes a block. False: the disk refused, see `failure`.
    func append(_ block: borrowing RawSpan) -> Bool {
        guard failure == nil else { return false }
        var taken = 0
        while taken < block.byteCount {
            if buffer == nil { buffer = pool.take() }
            taken += buffer!.fill(block, from: taken)
            if buffer!.isFull, !flush() { return false }
        }
        return true
    }

    /// Hands what has been gathered to the kernel. False: see `failure`.
    func flush() -> Bool {
        guard failure == nil, let buffer, buffer.count > 0 else { return failure == nil }
        attempt("write part") { () throws(SystemError) in
            try buffer.withBytes { (bytes) throws(SystemError) in try file!.writeAll(bytes, at: place, name) }
        }
        guard failure == nil else { return false }
        place += Int64(buffer.count)
        buffer.empty()
        if place - writtenBack >= Self.writebackStep {
            startWritingBack()
            writtenBack = place
        }
        return true
    }

    private func startWritingBack() {
        switch file {
        case .some(let file):
            let length = place - writtenBack
            try? startWriteback(of: file.rawValue, offset: writtenBack, length: length)  // fsync tells all
        case nil: break
        }
    }

    /// Flushes and gives the file the server's time, if one is given. False: see `failure`.
    func finish(modified: WallTime?) -> Bool {
        guard flush() else { return false }
        if let modified {
            attempt("set time of part") { () throws(SystemError) in
                try file!.setTimes(milliseconds: modified.rawValue, name)
            }
        }
        return failure == nil
    }

    /// Content and length of what was written are on the disk: what a resume point may be stored for. What a full
    /// disk did not take any more is not counted (`flushedSize`). False: the part is not to be trusted.
    func synchronize() -> Bool {
        if !flush(), failure?.code == .ioError { return false }
        heartbeat.enter("fdatasync part")
        defer { heartbeat.leave() }
        do throws(SystemError) {
            try file!.synchronizeContent(name)
            return true
        } catch {
            failure = error
            return false
        }
    }

    /// Gives the open file away, for its fsync; nil, and closed, where too many are kept.
    func handOver(to purse: DescriptorPurse) -> KeptFile? {
        var taken: Descriptor?
        swap(&taken, &file)
        guard let open = taken.take() else { return nil }
        return purse.keep(open)
    }

    /// Gives file and buffer back. Errors of close come late on some file systems; the fsync in publish tells
    /// them.
    func close() {
        file = nil
        if let buffer { pool.give(buffer) }
        buffer = nil
    }

    private func attempt(_ call: StaticString, _ body: () throws(SystemError) -> Void) {
        heartbeat.enter(call)
        defer { heartbeat.leave() }
        do { try body() } catch { failure = failure ?? error }
    }
}
