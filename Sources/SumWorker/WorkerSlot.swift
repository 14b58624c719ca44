// SPDX-License-Identifier: Apache-2.0

import Glibc
import JobModel
import LinuxKit

/// One place of the pool: the process that holds it, and when the next one may. The pool's own, on its one thread.
final class WorkerSlot {
    let index: Int
    private(set) var process: ChildProcess?
    private var link: PacketSocket?
    private var restart: RestartPolicy
    private var startedAt: Int64 = 0
    /// When an empty place may be filled, CLOCK_MONOTONIC ns.
    private(set) var dueAt: Int64 = 0
    /// The last packet from the process, or when it got its first piece after having none.
    var lastSign: Int64 = 0
    /// The oldest piece that lies with the process, and since when it has been the oldest.
    private(set) var oldest: (id: UInt64, since: Int64)?
    private(set) var confinement = SumConfinement.unknown
    /// Not to be filled again.
    var isRetiring = false
    /// Killed by the pool itself; then nobody has to guess why.
    private(set) var killedBecause: String?

    init(index: Int, restart: RestartPolicy) {
        self.index = index
        self.restart = restart
    }

    var isUp: Bool { process != nil }
    var pollEntry: (descriptor: Int32, interest: Poll.Interest)? {
        switch link {
        case .some(let link): (link.descriptor, link.interest)
        case .none: nil
        }
    }

    /// Notes what the process is at.
    func work(on oldest: Piece?, now: Int64) {
        guard let oldest else {
            self.oldest = nil
            return
        }
        if self.oldest?.id != oldest.id { self.oldest = (oldest.id, now) }
    }

    func told(_ confinement: SumConfinement) { self.confinement = confinement }

    /// Forks a process into the place. A failure sets the next due time and is thrown on for the remark.
    func start(now: Int64) throws(SystemError) {
        do throws(SystemError) {
            let forked = try ForkedProcess.start(name: "sumd-work-\(index)") { WorkerLoop.run($0) }
            process = forked.process
            link = try PacketSocket(forked.socket, packetLimit: SumFrame.packetLimit)
        } catch {
            dueAt = now &+ restart.delay(afterLiving: .zero).nanosecondsClamped
            throw error
        }
        startedAt = now
        lastSign = now
        oldest = nil
        killedBecause = nil
        confinement = .unknown
    }

    /// Hands frames over. A process that cannot take them is as good as dead: the reaping finds it.
    func send(_ frame: SumFrame, passing files: [HeldFile] = []) {
        do throws(SystemError) {
            try link?.send(frame.packet, passing: files)
        } catch {
            kill(because: "took no more work (\(error))")
        }
    }

    func flush() {
        do throws(SystemError) {
            try link?.flush()
        } catch {
            kill(because: "took no more work (\(error))")
        }
    }

    /// Everything that has come so far. `isClosed`: the process has closed its end, which it does only by ending.
    func receive() -> (frames: [SumFrame], isClosed: Bool) {
        var frames: [SumFrame] = []
        do {
            while let packet = try link?.receive() {
                if packet.bytes.isEmpty { return (frames, true) }
                frames += try SumFrame.frames(in: packet.bytes)
            }
            return (frames, false)
        } catch {
            kill(because: "sent what makes no sense (\(error))")
            return (frames, true)
        }
    }

    func kill(because reason: String) {
        guard let process else { return }
        if killedBecause == nil { killedBecause = reason }
        do throws(SystemError) {
            try process.signal(SIGKILL)
        } catch {
            // ESRCH cannot be: a process that was not waited for keeps its number.
        }
    }

    /// Waits for a process that is gone, or looks whether it is. Answers how it ended and empties the place.
    func reap(waiting: Bool, now: Int64) -> ChildProcess.Ending? {
        guard let process else { return nil }
        let ending: ChildProcess.Ending?
        do throws(SystemError) {
            ending = waiting ? try process.wait() : try process.poll()
        } catch {
            // ECHILD: somebody else waited for it. Gone is gone.
            ending = .exited(-1)
        }
        guard let ending else { return nil }
        self.process = nil
        link = nil
        dueAt = now &+ restart.delay(afterLiving: .nanoseconds(now - startedAt)).nanosecondsClamped
        return ending
    }
}
