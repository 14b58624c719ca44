// SPDX-License-Identifier: Apache-2.0
// Runs on: the one thread of sumd
// Owns: the socket to dld, the forked pool
// Receives: SumFrame.sum, .digest and .bundle (with descriptors), .cancel, .ping, .resize
// Sends: SumFrame.summed, .digested, .pieces, .bundled, .failed, .pong, .pool

import Glibc
import JobModel
import LinuxKit
import SystemPackage

/// `sumd serve`: the pool as a child of dld.
///
/// *Diagnostics*: a job that cannot be done is answered. End of file on the socket, a frame that makes no sense and
/// SIGTERM end the process; its workers go with it. Nothing is logged: what happens is told in `.pool`.
public enum SumServe {
    /// Serves until the other end closes. Call from `main`, while the process has one thread.
    /// - Parameters:
    ///   - descriptor: a connected SOCK_SEQPACKET socket.
    ///   - processes: workers; held between 1 and 1024.
    ///   - parent: process id of who started us; without it end of file alone tells of its death.
    ///   - silence: a worker that gives no sign of life for so long over one piece is killed.
    /// - Returns: the exit status: 0, or 74 with a line on standard error.
    public static func run(
        descriptor: Int32, processes: Int, parent: Int32? = nil, silence: Duration = .seconds(600)
    ) -> Int32 {
        do {
            // Not one that can be put off: a stopped process would outlive the daemon. There is nothing to tidy up.
            if let parent, try !ParentDeathSignal.request(SIGKILL, parent: parent) { return 0 }
            let link = try PacketSocket(Descriptor(owning: descriptor), packetLimit: SumFrame.packetLimit)
            let pool = try ForkedPool.make(processes: processes, silence: silence)
            var loop = ServeLoop(link: link, pool: pool)
            try loop.run()
            return 0
        } catch let error as SystemError where error.code == .brokenPipe || error.code == .connectionReset {
            // dld is gone or is going: an answer that nobody waits for any more is no trouble.
            return 0
        } catch {
            StandardError.write("sumd: \(error)\n")
            return 74
        }
    }
}

private struct ServeLoop: ~Copyable {
    private var link: PacketSocket
    private var pool: ForkedPool
    private var isClosed = false

    init(link: consuming PacketSocket, pool: consuming ForkedPool) {
        self.link = link
        self.pool = pool
    }

    mutating func run() throws {
        while !isClosed {
            if pool.takeChange() {
                try send(
                    .pool(
                        workers: pool.workers, restarts: pool.restarts, remark: pool.remark,
                        confinement: pool.confinement))
            }
            let turn = pool.turn(watching: [(link.descriptor, link.interest)])
            try send(turn.endings)
            if turn.ready[0] {
                try link.flush()
                try receive()
            }
            if turn.signal == SIGTERM || turn.signal == SIGINT { return }
        }
    }

    private mutating func send(_ frame: SumFrame) throws { try link.send(frame.packet) }

    /// What came in one turn shares packets.
    private mutating func send(_ endings: [PieceDealer.Ending]) throws {
        var packet: [UInt8] = []
        for ending in endings {
            Self.frame(of: ending).append(to: &packet)
            guard packet.count > SumFrame.packetLimit - SumFrame.frameLimit - 4 else { continue }
            try link.send(packet)
            packet.removeAll(keepingCapacity: true)
        }
        if !packet.isEmpty { try link.send(packet) }
    }

    private static func frame(of ending: PieceDealer.Ending) -> SumFrame {
        switch ending.result {
        case .summed(let total): .summed(ticket: ending.ticket, total: total, timings: ending.timings)
        case .digested(let checksum):
            .digested(ticket: ending.ticket, checksum: checksum, timings: ending.timings)
        case .pieces(let digests):
            .pieces(ticket: ending.ticket, digests: digests, timings: ending.timings)
        case .bundled(let digests):
            .bundled(ticket: ending.ticket, digests: digests, timings: ending.timings)
        case .failed(let fault, let message):
            .failed(ticket: ending.ticket, fault: fault, message: message)
        }
    }

    private mutating func receive() throws {
        while let packet = try link.receive() {
            if packet.bytes.isEmpty {
                isClosed = true
                return
            }
            var passed = packet.files
            for frame in try SumFrame.frames(in: packet.bytes) {
                if let ticket = frame.ticket, pool.contains(ticket) {
                    guard case .cancel = frame else { throw SumFrameError.badField }
                }
                guard frame.descriptors > 0 else {
                    try handle(frame, [])
                    continue
                }
                guard frame.descriptors == passed.count else { throw SumFrameError.badField }
                try handle(frame, passed)
                passed = []
            }
        }
    }

    private mutating func handle(_ frame: SumFrame, _ files: [HeldFile]) throws {
        switch frame {
        case .sum(let ticket, let from, let to, let submitted):
            pool.submit(sum: SumRange(from: from, to: to), ticket: ticket, submitted: submitted)
        case .digest(let ticket, let algorithm, let span, let rate, let submitted):
            pool.submit(
                digest: algorithm, span, rate: rate, of: files[0], ticket: ticket, submitted: submitted)
        case .bundle(let ticket, let algorithm, _, let bytes, let submitted):
            pool.submit(bundle: files, algorithm, bytes: bytes, ticket: ticket, submitted: submitted)
        case .cancel(let ticket): pool.cancel(ticket)
        case .ping(let number): try send(.pong(number))
        case .resize(let processes): pool.resize(to: Int(clamping: processes))
        case .pong, .progress, .summed, .digested, .pieces, .bundled, .failed, .pool, .ready:
            throw SumFrameError.badField
        }
    }
}

/// The one line that sumd may have to say before it ends.
enum StandardError {
    static func write(_ text: String) {
        do {
            try FileDescriptor.standardError.writeAll(text.utf8)
        } catch {
            // Nobody listens.
        }
    }
}
