// SPDX-License-Identifier: Apache-2.0

/// Where a job stands, as the ledger keeps it. The raw values are on disk: never renumber.
public enum JobState: Int, Sendable, Codable, CaseIterable {
    case queued = 0
    case active = 1
    /// In its own back-off; its due time is in the ledger.
    case waiting = 2
    case publishing = 3
    case paused = 4
    case done = 5
    case failed = 6
    case cancelled = 7

    public var name: String {
        switch self {
        case .queued: "queued"
        case .active: "active"
        case .waiting: "waiting"
        case .publishing: "publishing"
        case .paused: "paused"
        case .done: "done"
        case .failed: "failed"
        case .cancelled: "cancelled"
        }
    }
    public init?(name: String) {
        guard let state = Self.allCases.first(where: { $0.name == name }) else { return nil }
        self = state
    }
    public var isTerminal: Bool {
        switch self {
        case .done, .failed, .cancelled: true
        case .queued, .active, .waiting, .publishing, .paused: false
        }
    }
}

/// Where a list stands. The raw values are on disk: never renumber.
public enum ListState: Int, Sendable, Codable, CaseIterable {
    /// Its lines are going into the ledger; jobs of the first batches may already run.
    case admitting = 0
    case running = 1
    /// Every job is terminal, results are written, the file lies in `done/` or `failed/`.
    case closed = 2
    /// It held no good entry; the file lies in `rejected/`.
    case rejected = 3
    /// It ended longer ago than `retention.lists`: its files are gone and its rows are going. Nobody is shown it.
    case removing = 4

    public var name: String {
        switch self {
        case .admitting: "admitting"
        case .running: "running"
        case .closed: "closed"
        case .rejected: "rejected"
        case .removing: "removing"
        }
    }
}

/// How many jobs of a list, a lane or everything stand in each state.
public struct StateCounts: Sendable, Hashable, Codable {
    public var queued = 0, active = 0, waiting = 0, publishing = 0, paused = 0, done = 0, failed = 0,
        cancelled = 0
    public init() {}

    public subscript(state: JobState) -> Int {
        get {
            switch state {
            case .queued: queued
            case .active: active
            case .waiting: waiting
            case .publishing: publishing
            case .paused: paused
            case .done: done
            case .failed: failed
            case .cancelled: cancelled
            }
        }
        set {
            switch state {
            case .queued: queued = newValue
            case .active: active = newValue
            case .waiting: waiting = newValue
            case .publishing: publishing = newValue
            case .paused: paused = newValue
            case .done: done = newValue
            case .failed: failed = newValue
            case .cancelled: cancelled = newValue
            }
        }
    }
    public var total: Int { open + terminal }
    /// Jobs that have not ended.
    public var open: Int { queued + active + waiting + publishing + paused }
    public var terminal: Int { done + failed + cancelled }

    public static func += (a: inout Self, b: Self) {
        for state in JobState.allCases { a[state] += b[state] }
    }
}
