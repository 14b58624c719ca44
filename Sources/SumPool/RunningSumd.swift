// SPDX-License-Identifier: Apache-2.0

import Glibc
import JobModel
import LinuxKit
import SystemPackage

/// A `sumd` that was started, with the socket to it. Ended before it is let go of, so that none outlives its owner.
struct RunningSumd: ~Copyable {
    let process: ChildProcess
    private var link: PacketSocket
    let startedAt: Int64
    /// Its live workers, as it told last.
    private(set) var workers: [Int32] = []
    private(set) var workerRestarts: UInt64 = 0
    private var memoryKills: MemoryKills?
    /// Whether it has shown that it works.
    var hasSpoken: Bool { memoryKills != nil }
    private var pingNumber: UInt64 = 0
    /// When the ping that is unanswered was sent.
    private var pingedAt: Int64?
    private var answeredAt: Int64

    /// Spawns it. The thread that calls must live as long as the process is wanted: its end is the parent's end.
    static func start(
        _ settings: SumPoolSettings, now: Int64
    ) throws(SystemError) -> RunningSumd {
        let pair = try SocketPair(.sequencedPacket, isNonBlocking: true)
        var spawn = Spawn(
            executable: FilePath(settings.executable),
            arguments: [
                "serve", "--descriptor", "3", "--parent", String(getpid()),
                "--processes", String(settings.processes),
                "--silence", String(min(max(1, settings.pieceLimit.components.seconds), 86_400)),
            ])
        // Standard output may be a list of results that somebody reads; sumd has nothing to add to it.
        spawn.standardOutput = .null
        spawn.inherited = [pair.second.rawValue]
        let process = try spawn.start()
        do throws(SystemError) {
            return RunningSumd(
                process: process, link: try PacketSocket(pair.first, packetLimit: SumFrame.packetLimit),
                now: now)
        } catch {
            Self.end(process)
            throw error
        }
    }

    private init(process: ChildProcess, link: consuming PacketSocket, now: Int64) {
        self.process = process
        self.link = link
        startedAt = now
        answeredAt = now
    }

    var pollEntry: (descriptor: Int32, interest: Poll.Interest) { (link.descriptor, link.interest) }

    mutating func send(_ frame: SumFrame, passing files: [HeldFile] = []) throws(SystemError) {
        try send(packet: frame.packet, passing: files)
    }
    /// Frames that were encoded already.
    mutating func send(packet: [UInt8], passing files: [HeldFile] = []) throws(SystemError) {
        try link.send(packet, passing: files)
    }
    mutating func flush() throws(SystemError) { try link.flush() }

    /// It has told who works for it.
    mutating func told(workers: [Int32], restarts: UInt64) {
        // What a worker was killed for it has told of: that must not be taken for its own end later.
        if restarts > workerRestarts { _ = memoryKills?.haveGrown() }
        if memoryKills == nil { memoryKills = MemoryKills(of: process.pid) }
        self.workers = workers
        workerRestarts = restarts
    }

    /// Whether the kernel has killed in its group for want of memory since the last look.
    mutating func wasStarved() -> Bool { memoryKills?.haveGrown() ?? false }

    /// What came in one packet; nil when nothing more is there.
    mutating func receive() throws -> [SumFrame]? {
        guard let packet = try link.receive() else { return nil }
        if packet.bytes.isEmpty { throw SystemError(.connectionReset, "receive from", "sumd") }
        return try SumFrame.frames(in: packet.bytes)
    }

    /// When `keepAlive` wants to be called next, CLOCK_MONOTONIC ns.
    func nextCheck(answerLimit: Duration) -> Int64 {
        let limit = answerLimit.nanosecondsClamped
        if let pingedAt { return pingedAt.addingReportingOverflow(limit).partialValue }
        return answeredAt.addingReportingOverflow(limit / 4).partialValue
    }

    /// Pings a silent peer. Answers false when the last ping went unanswered for too long.
    mutating func keepAlive(now: Int64, answerLimit: Duration) throws(SystemError) -> Bool {
        guard now >= nextCheck(answerLimit: answerLimit) else { return true }
        if pingedAt != nil { return false }
        pingNumber += 1
        pingedAt = now
        try send(.ping(pingNumber))
        return true
    }

    mutating func ponged(_ number: UInt64, now: Int64) {
        guard number == pingNumber else { return }
        pingedAt = nil
        answeredAt = now
    }

    /// Asks it to end by closing the socket, and gives it a moment; then kills it and its workers.
    consuming func stop(within grace: Duration) {
        let process = self.process
        link.close()
        do throws(SystemError) {
            let ended = try process.openEndDescriptor()
            _ = Poll.readable([ended.rawValue], atMost: grace)
        } catch {
            // Without pidfd (or descriptors) there is no waiting with a limit: killed at once, which harms nothing.
        }
        _ = Self.end(process)
    }

    /// Kills what is left of its process group, then reaps it. The group goes first: its number is safe only while
    /// its leader has not been reaped.
    func end() -> ChildProcess.Ending? { Self.end(process) }

    @discardableResult
    private static func end(_ process: ChildProcess) -> ChildProcess.Ending? {
        do throws(SystemError) {
            try process.signalGroup(SIGKILL)
        } catch {
            // ESRCH: nobody is left.
        }
        do throws(SystemError) {
            return try process.wait()
        } catch {
            return nil
        }
    }
}
