// SPDX-License-Identifier: Apache-2.0

import Curl
import JobModel
import LinuxKit

/// What callbacks leave for the loop, which looks after each turn.
final class LoopNotes {
    /// Tokens whose first header has come since the last turn.
    var firstHeads: [(token: UInt64, isHTTP2: Bool, isUsable: Bool)] = []
    /// The same of mirrors' answers, with the place of the mirror.
    var helperHeads: [(token: UInt64, place: Int, isUsable: Bool)] = []
    /// Tokens of answers whose length has become known, and the length.
    var sizes: [(token: UInt64, total: Int64)] = []
    /// Tokens of answers whose file other connections may bring parts of.
    var divisible: [UInt64] = []
    /// Requests that were given to a connection which may be shared.
    var rides: [(Reception, ConnectionName)] = []
    /// Those that paused themselves.
    var paused: [Reception] = []
    /// Our ports of the connections that servers have said a GOAWAY on, the latest last. A port that is given out again
    /// soon makes one attempt of another transfer free.
    private(set) var goneAway: [Int] = []
    /// The same, of this turn.
    var going: [Int] = []

    func noteGoAway(localPort: Int) {
        if goneAway.count == 64 { goneAway.removeFirst() }
        goneAway.append(localPort)
        going.append(localPort)
    }
}

/// What all transfers of one worker write with.
struct ReceptionTools {
    let folders: PartFolders
    /// Descriptors of whole parts that wait for their fsync.
    let purse: DescriptorPurse
    let pool: GatherPool
    let notes: LoopNotes
    let asksForRoom: Bool
    let totalLimiter: RateLimiter?
}

/// Takes what one request brings: head to the machine, body to the part. Runs inside libcurl's callbacks on
/// the loop's thread; what goes wrong is parked here, and libcurl only learns "abort".
final class Reception: TransferSink {
    let order: TransferOrder
    /// While libcurl has the request.
    var key: TransferKey?
    /// Where its segment ends: what comes beyond is another's. It may be moved while the answer comes.
    var limit = Int64.max
    /// The answer went on beyond its segment, and was stopped there.
    private(set) var isCut = false
    /// A part has been begun from zero; what lay there before is gone.
    private(set) var hasBegunAnew = false
    private(set) var machine: ResponseMachine
    private(set) var writer: PartWriter?
    /// The first trouble of this machine.
    private(set) var localError: SystemError?
    /// Body bytes, discarded ones included.
    private(set) var fetchedBytes: Int64 = 0
    /// While paused: when to go on.
    private(set) var pausedUntil: MonotonicTime?
    /// Some address was allowed: a failed connect is then the network's doing, not the policy's.
    private(set) var hasPermittedAddress = false
    private var isStopped = false
    private var hasTold = false
    private var hasToldSize = false
    /// Nothing may be written before there is room for all of it.
    private var awaitsRoom = false
    private var holdsBlock = false
    private let tools: ReceptionTools
    private var gate: RateGate
    /// The part of an earlier attempt, if one lies there.
    private let oldPart: String?
    /// Name of a part that is begun.
    private let partName: String
    /// Not the first of the file: the host has shown what it speaks, and there is room.
    private let isSegment: Bool

    /// - Parameters:
    ///   - writer: the part to go on with, checked.
    ///   - oldPart: what goes when the first byte of another version, or of the whole, has come.
    init(
        order: TransferOrder, ask: ResponseAsk, writer: PartWriter?, oldPart: String? = nil,
        partName: String, isSegment: Bool = false, tools: ReceptionTools, now: MonotonicTime
    ) {
        self.order = order
        self.partName = partName
        self.isSegment = isSegment
        self.writer = writer
        self.oldPart = oldPart
        self.tools = tools
        machine = ResponseMachine(ask: ask)
        gate = RateGate(
            maxRate: order.maxRate, host: order.hostLimiter, total: tools.totalLimiter, now: now)
    }

    func permits(_ address: PeerAddress) -> Bool {
        let hasProxy = !(order.proxy ?? "").isEmpty
        // A list may name a proxy as it may name a host; where a redirect came from is the target's matter.
        let policy =
            hasProxy
            ? AddressPolicy(rule: order.addressPolicy.rule, isRedirectFromPublic: false) : order.addressPolicy
        let isPermitted: Bool
        switch address {
        case .v4(let bits): isPermitted = policy.permits(.v4(bits))
        case .v6(let high, let low): isPermitted = policy.permits(.v6(high, low))
        // Nothing that downloads are fetched over.
        case .other: isPermitted = false
        }
        let isExempt = order.isProxyTrusted && hasProxy
        if isPermitted || isExempt { hasPermittedAddress = true }
        return isPermitted || isExempt
    }

    func receiveHeader(_ line: borrowing RawSpan) -> HeaderVerdict {
        if isStopped { return .abort }
        let step = machine.takeHeader(line)
        // An interim answer shows nothing yet.
        if !hasTold, machine.head.status >= 200 {
            hasTold = true
            noteHead(isUsable: !HeadPolicy.isRefusal(machine.head.status))
        }
        noteSize()
        switch step {
        case .proceed: return .proceed
        case .proceedThenClose: return .proceedThenClose
        case .stop:
            isStopped = true
            return .abort
        }
    }

    private func noteHead(isUsable: Bool) {
        if isHelper {
            tools.notes.helperHeads.append((order.token, order.place, isUsable))
        } else if !isSegment {
            tools.notes.firstHeads.append((order.token, machine.head.isHTTP2, isUsable))
        }
    }

    /// A mirror is asked, beside the source of the transfer.
    private var isHelper: Bool { machine.ask.agreement != nil }

    /// Once the length is known of what is worth asking for room, or for more connections.
    private func noteSize() {
        guard !hasToldSize, !isSegment, case .body(let plan) = machine.state else { return }
        hasToldSize = true
        let missing = machine.ask.resume.flatMap { plan.start > 0 ? $0 : nil }
        if let known = missing?.ranges?.first { limit = known.start }
        let isLarge = plan.total.map { ($0 - plan.start) / 2 >= order.segments.leastSize } ?? false
        if missing?.ranges != nil || (order.segments.most > 1 && isLarge), machine.isDivisible {
            tools.notes.divisible.append(order.token)
        }
        guard tools.asksForRoom, let total = machine.total, total >= DiskGovernor.leastAsked else { return }
        awaitsRoom = true
        tools.notes.sizes.append((order.token, total))
    }

    /// - Returns: whether libcurl holds a block back that was refused meanwhile.
    func roomGranted() -> Bool {
        defer { holdsBlock = false }
        awaitsRoom = false
        return holdsBlock
    }

    func receive(_ block: borrowing RawSpan) -> WriteVerdict {
        // Sticky: after an unpause libcurl would go on with the next block as if nothing had been.
        if isStopped { return .abort }
        if awaitsRoom {
            holdsBlock = true
            return .pause
        }
        let count = Int64(block.byteCount)
        if gate.isLimited, let due = gate.offer(count, now: Clock.now()) {
            pausedUntil = due
            tools.notes.paused.append(self)
            return .pause
        }
        pausedUntil = nil
        fetchedBytes += count
        switch machine.takeBody(count) {
        case .drop: return .proceed
        case .write(let place):
            if openPart(at: place), take(block, at: place) { return isCut ? .abort : .proceed }
            localError = localError ?? writer?.failure
        case .stop: break
        }
        isStopped = true
        return .abort
    }

    /// Writes what belongs to its segment.
    private func take(_ block: borrowing RawSpan, at place: Int64) -> Bool {
        let room = max(0, limit - place)
        guard room <= block.byteCount else { return writer!.append(block) }
        // The whole of what was asked for ends by itself, and leaves a connection.
        isCut = limit < machine.end ?? .max
        isStopped = isCut
        return writer!.append(block.extracting(first: Int(room)))
    }

    func rides(_ connection: ConnectionName) {
        if order.mayShareConnection, !isSegment { tools.notes.rides.append((self, connection)) }
    }

    func connectionGoesAway(localPort: Int) { tools.notes.noteGoAway(localPort: localPort) }

    func unpaused() { pausedUntil = nil }

    /// Its transfer's own rate is for several connections from now on.
    func share(_ limiter: RateLimiter) { gate.share(limiter) }

    /// Hands over the count of what has come, for good.
    func takeFetched() -> Int64 {
        defer { fetchedBytes = 0 }
        return fetchedBytes
    }

    /// The request is over: what was paid for in advance goes back.
    func settleRates() { gate.close(now: Clock.now()) }

    /// The part exists and ends at `place`. Also called at the end of an empty body, which offers no block.
    ///
    /// From zero is always a new file with a new name: a resume point of the old one, wherever it is still
    /// stored, must never find other bytes under its name.
    func openPart(at place: Int64) -> Bool {
        if place == 0, writer?.isUntouched ?? false { close() }
        do {
            if writer == nil {
                precondition(place == 0, "a range goes on in a part that was checked before")
                if let oldPart { tools.folders[order.home].remove(oldPart) }
                hasBegunAnew = true
                writer = try PartWriter.create(
                    partName, mode: order.fileMode, in: tools.folders[order.home], pool: tools.pool)
            }
        } catch {
            tools.folders[order.home].forget()
            localError = localError ?? error
            return false
        }
        if writer!.isUntouched, !writer!.begin(at: place) { localError = localError ?? writer!.failure }
        return localError == nil
    }

    /// Lets go of the part, which stays as it is.
    func close() {
        writer?.close()
        writer = nil
    }
}

/// The loop's clock.
enum Clock {
    static func now() -> MonotonicTime { MonotonicTime(nanoseconds: Monotonic.nanoseconds()) }
    static func wall() -> WallTime { WallTime(milliseconds: WallClock.milliseconds()) }
}
