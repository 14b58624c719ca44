// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import ControlServer
import Glibc
import JobModel
import LinuxKit
import Locking
import Spool
import SystemPackage

/// Posted lists on their way: a hidden file in the spool each, told to the spool once it is whole and durable.
final class Uploads: Sendable {
    private struct Box {
        var nextTicket: UInt64 = 1
        var waiting: [UInt64: (name: String, reply: ControlReply<AddedDocument>)] = [:]
    }
    private let box = Guarded(Box())

    /// Uploads that a crash cut off: nobody was told they were taken. At a start, before any thread.
    /// - Parameter known: inodes of lists that the ledger took and whose move is still to come.
    static func removeLeftovers(in spoolPath: String, known: Set<UInt64>) {
        guard let folder = unsafe opendir(spoolPath) else { return }
        defer { unsafe _ = closedir(folder) }
        while let entry = unsafe readdir(folder) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
                unsafe $0.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
            }
            guard name.hasPrefix(prefix), unsafe !known.contains(UInt64(entry.pointee.d_ino)) else {
                continue
            }
            do { _ = try unlink(FilePath("\(spoolPath)/\(name)")) } catch {
                // A hidden file more in the spool, which never looks at it.
            }
        }
    }
    private static let prefix = ".dld-upload-"

    func begin(
        name: String, in spoolPath: String, reads: Mailbox<ReadLoop.Message>, spool: Mailbox<SpoolMessage>
    ) -> (any ListSink, UploadFile) {
        let ticket = box.withLock { box in
            defer { box.nextTicket += 1 }
            return box.nextTicket
        }
        let random = String(UInt64.random(in: .min ... .max), radix: 16)
        let file = UploadFile(path: "\(spoolPath)/\(Self.prefix)\(random)")
        let sink = UploadSink(file: file, reads: reads) { reply in
            self.box.withLock { $0.waiting[ticket] = (name, reply) }
            spool.send(.add(path: file.path, name: name, ticket: ticket))
        }
        return (sink, file)
    }

    /// The spool has admitted or refused it.
    func added(ticket: UInt64, _ result: Result<ListID, JobError>) {
        guard let (name, reply) = box.withLock({ $0.waiting.removeValue(forKey: ticket) }) else { return }
        switch result {
        case .success(let id): reply.succeed(AddedDocument(id: id.rawValue, name: name))
        case .failure(let error): reply.fail(.rejected(error.message))
        }
    }
}

/// The hidden file. Written on the reader's thread only, one message after the other.
final class UploadFile: Sendable {
    let path: String
    /// The number of a descriptor of ours: a Mutex cannot lend a `~Copyable` one to a throwing call.
    private let open = Guarded<Int32?>(nil)

    init(path: String) { self.path = path }
    deinit { if let number = take() { _ = Descriptor(owning: number) } }

    func create() throws(SystemError) {
        let file = try Descriptor.open(
            FilePath(path), .writeOnly, options: [.create, .exclusiveCreate, .noFollow],
            permissions: [.ownerReadWrite, .groupRead])
        put(file.release())
    }

    func append(_ bytes: [UInt8]) throws(SystemError) {
        guard let number = take() else { return }
        let file = Descriptor(owning: number)
        try file.writeAll(bytes, path)
        put(file.release())
    }

    func close() throws(SystemError) {
        guard let number = take() else { return }
        let file = Descriptor(owning: number)
        try file.synchronize(path)
        try file.close(path)
    }

    private func take() -> Int32? {
        open.withLock { held in
            defer { held = nil }
            return held
        }
    }
    private func put(_ number: Int32) { open.withLock { $0 = number } }

    func remove() {
        do { try close() } catch {
            // It goes anyway.
        }
        do { _ = try unlink(FilePath(path)) } catch {
            // A hidden file stays in the spool; the spool never looks at it.
        }
    }
}

/// One upload, chunk by chunk, on the reader's thread: the NIO thread never touches the disk.
private final class UploadSink: ListSink {
    private let file: UploadFile
    private let reads: Mailbox<ReadLoop.Message>
    private let submit: @Sendable (ControlReply<AddedDocument>) -> Void

    init(
        file: UploadFile, reads: Mailbox<ReadLoop.Message>,
        submit: @escaping @Sendable (ControlReply<AddedDocument>) -> Void
    ) {
        self.file = file
        self.reads = reads
        self.submit = submit
    }

    func write(_ chunk: [UInt8], reply: ControlReply<Void>) {
        let file = file
        reads.send(
            .ask { _ in
                do {
                    try file.append(chunk)
                    reply.succeed()
                } catch {
                    reply.fail(.unavailable("\(error)"))
                }
            })
    }

    func finish(reply: ControlReply<AddedDocument>) {
        let file = file
        let submit = submit
        reads.send(
            .ask { _ in
                do {
                    try file.close()
                    submit(reply)
                } catch {
                    reply.fail(.unavailable("\(error)"))
                }
            })
    }

    func abandon() {
        let file = file
        reads.send(.ask { _ in file.remove() })
    }
}
