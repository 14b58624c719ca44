// SPDX-License-Identifier: Apache-2.0

public import JobModel
import Synchronization

/// What the orders of one host share while it does well: a staged one takes the place of one that ended behind the same
/// gate. Closed once, for good, by whoever hears first that the host is in trouble, on whatever worker; what is ordered
/// after that stands behind another gate.
///
/// Any thread.
public final class StageGate: Sendable {
    private let closed = Atomic(false)
    public init() {}
    public var isOpen: Bool { !closed.load(ordering: .acquiring) }
    public func close() { closed.store(true, ordering: .releasing) }
}

/// The staged order that took the place of a transfer that ended.
public struct Successor: Sendable, Hashable {
    public var token: UInt64
    public var begun: MonotonicTime
    public init(token: UInt64, begun: MonotonicTime) {
        self.token = token
        self.begun = begun
    }
}

extension TransferReport {
    /// What the end of a transfer tells about how much its host can take.
    public var load: AdaptiveCap.End {
        switch result {
        case .complete, .notModified, .redirect: return .success
        case .taken, .cancelled: return .neutral
        case .failed(let failure):
            if failure.isLocal || failure.isUncharged { return .neutral }
            guard case .http(let status) = failure.error.code else {
                return failure.isCut || failure.isConnectFailure ? .trouble : .neutral
            }
            if status == 429 || status == 503 { return .trouble }
            return status < 500 ? .success : .neutral
        }
    }

    /// The connection idles in the worker's cache now.
    public var keepsConnection: Bool {
        switch result {
        case .complete, .notModified, .redirect: true
        case .failed(let failure): failure.error.code.errorClass == .http
        case .taken, .cancelled: false
        }
    }

    /// What becomes of the orders staged for its host.
    public var stageVerdict: StageGauge.Verdict {
        var leads = false
        var asksToWait = response.quotaReset != nil
        switch result {
        case .redirect: leads = true
        case .failed(let failure): asksToWait = asksToWait || failure.retryAfter != nil
        case .complete, .notModified, .taken, .cancelled: break
        }
        return StageGauge.verdict(
            load, keepsConnection: keepsConnection, leads: leads, asksToWait: asksToWait)
    }
}

/// Orders that a worker has and may not begin yet, oldest first behind each gate.
struct StagedOrders {
    private var behind: [ObjectIdentifier: [ActiveTransfer]] = [:]
    private(set) var count = 0

    mutating func append(_ transfer: ActiveTransfer, _ gate: StageGate) {
        behind[ObjectIdentifier(gate), default: []].append(transfer)
        count += 1
    }

    /// The oldest behind an open gate.
    mutating func next(behind gate: StageGate?) -> ActiveTransfer? {
        guard count > 0, let gate, gate.isOpen else { return nil }
        let name = ObjectIdentifier(gate)
        guard let first = behind[name]?.first else { return nil }
        remove(at: 0, name)
        return first
    }

    mutating func take(_ token: UInt64) -> ActiveTransfer? {
        for (name, transfers) in behind {
            guard let index = transfers.firstIndex(where: { $0.order.token == token }) else { continue }
            remove(at: index, name)
            return transfers[index]
        }
        return nil
    }

    mutating func takeAll() -> [ActiveTransfer] {
        let all = behind.values.flatMap { $0 }
        behind = [:]
        count = 0
        return all
    }

    private mutating func remove(at index: Int, _ name: ObjectIdentifier) {
        behind[name]?.remove(at: index)
        // A gate's name may be another one's when it is gone.
        if behind[name]?.isEmpty ?? true { behind[name] = nil }
        count -= 1
    }
}
