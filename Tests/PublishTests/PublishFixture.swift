// SPDX-License-Identifier: Apache-2.0

import Glibc
import JobModel
import LinuxKit
import Locking
import SystemPackage
import TestKit

@testable import Publish

/// An output directory with parts, and one publish thread whose events the test awaits.
final class PublishFixture {
    let scratch = Scratch()
    let settings: PublishSettings
    let heartbeat = Heartbeat(name: "dld-publish")
    private let purse = DescriptorPurse(limit: 100)
    private let port: PublishPort
    private let log: EventLog

    init(durability: PublishSettings.Durability = .full, threshold: Int = 32, dirMode: UInt32 = 0o755) {
        scratch.folder("out")
        scratch.folder("out/.dld")
        scratch.folder("out/.dld/ID")
        settings = PublishSettings(
            outputDirectory: scratch.sub("out").string, partsDirectory: scratch.sub("out/.dld/ID").string,
            durability: durability, dirMode: dirMode, syncThreshold: threshold)
        let log = EventLog()
        self.log = log
        port = PublishPort(name: "dld-publish", settings: settings, heartbeat: heartbeat) { log.add($0) }
    }
    deinit {
        port.send(.stop)
        port.join()
    }

    /// Writes a part and describes it.
    func part(
        _ number: Int64, _ text: String, to path: String, replaces: Bool = false, isKept: Bool = true
    ) -> PublishItem {
        let name = "\(number).part"
        let full = scratch.write("out/.dld/ID/" + name, text)
        var file: KeptFile?
        // A part that cannot be opened shows as one without its file.
        if isKept { do { file = purse.keep(try Descriptor.open(full, .writeOnly)) } catch {} }
        var raw = stat()
        precondition(stat(full.string, &raw) == 0)
        return PublishItem(
            seq: JobSeq(number), partName: name, device: UInt64(raw.st_dev), inode: UInt64(raw.st_ino),
            size: Int64(raw.st_size), path: OutputPath(trusted: path), replaces: replaces,
            file: file)
    }

    /// Sends one command and waits for so many answers.
    func ask(_ command: PublishCommand, answers: Int = 1) -> [Answer] {
        port.send(command)
        return log.wait(for: answers)
    }

    func send(_ command: PublishCommand) { port.send(command) }

    var parts: [String] { scratch.names("out/.dld/ID") }
    func text(_ path: String) -> String? { scratch.text("out/" + path) }

    /// One event, taken apart by job.
    enum Answer: Hashable {
        case synced(Int64), renamed(Int64), taken(Int64), kept(Int64, Bool)
        case checkpointed(UInt64, PartSyncResult)
        case syncFailed(Int64, ErrorCode), renameFailed(Int64, ErrorCode)
        case unmarked(Int64)
    }

    /// The message of the last failure of a job.
    func message(of number: Int64) -> String { log.message(of: number) }

    private final class EventLog: Sendable {
        private let events = Guarded<[PublishEvent]>([])
        private let messages = Guarded<[Int64: String]>([:])
        private let bell = Doorbell()

        func add(_ more: [PublishEvent]) {
            events.withLock { $0 += more }
            bell.ring()
        }

        func wait(for count: Int) -> [Answer] {
            var answers: [Answer] = []
            while answers.count < count {
                let batch = events.withLock { box in
                    defer { box = [] }
                    return box
                }
                for event in batch { answers += take(event) }
                if answers.count >= count { break }
                // Far above what a loaded machine takes: only a hang reaches it.
                guard bell.wait(atMost: .seconds(60)) else { return answers }
            }
            return answers
        }

        private func take(_ event: PublishEvent) -> [Answer] {
            switch event {
            case .synced(let all): return all.map { .synced($0.rawValue) }
            case .renamed(let all): return all.map { .renamed($0.rawValue) }
            case .nameTaken(let seq): return [.taken(seq.rawValue)]
            case .kept(let seq, let result): return [.kept(seq.rawValue, result == .stored)]
            case .checkpointed(_, let token, let result): return [.checkpointed(token, result)]
            case .unmarked(let seq, let why):
                messages.withLock { $0[seq.rawValue] = why }
                return [.unmarked(seq.rawValue)]
            case .syncFailed(let seq, let trouble):
                messages.withLock { $0[seq.rawValue] = trouble.error.message }
                return [.syncFailed(seq.rawValue, trouble.error.code)]
            case .renameFailed(let seq, let trouble):
                messages.withLock { $0[seq.rawValue] = trouble.error.message }
                return [.renameFailed(seq.rawValue, trouble.error.code)]
            }
        }

        func message(of number: Int64) -> String { messages.withLock { $0[number] ?? "" } }
    }
}
