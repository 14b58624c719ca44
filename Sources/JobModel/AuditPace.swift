// SPDX-License-Identifier: Apache-2.0

/// How much of the process pool and of the disk an audit takes: a rate, and few files at a time, so that digests of
/// downloads find a process soon. Pure.
public struct AuditPace: Sendable {
    /// What a file costs at least: its inode and its first block are read whatever its length.
    private static let leastCost: Int64 = 4096
    /// Files above this count as large.
    private static let largeFile: Int64 = 4 << 20
    /// Files handed out at a time for each process: enough that none is idle between two small ones.
    private static let depth = 8
    /// Small files that go in bundles: three bundles for each process.
    private static let bundledDepth = 3 * BundleLimit.files

    private let processes: Int
    private var bucket: TokenBucket?
    private var largeOut = 0
    private var out = 0
    private var bundledOut = 0

    public init(processes: Int) { self.processes = max(1, processes) }

    /// Bytes a second; nil: as fast as it goes. One file is read no faster either.
    public private(set) var rate: Int64?

    /// Bytes a second from now on; nil: as fast as it goes.
    public mutating func setRate(_ rate: Int64?, now: MonotonicTime) {
        self.rate = rate
        guard let rate else { return bucket = nil }
        if bucket == nil {
            bucket = TokenBucket(rate: rate, burst: rate, now: now)
        } else {
            bucket?.change(rate: rate, burst: rate, now: now)
        }
    }

    /// How long until the next file may be looked at; nil: now. What it will cost is charged when it is known.
    public mutating func delay(now: MonotonicTime) -> Duration? { bucket?.charge(0, now: now) }

    /// A file has been looked at, and `bytes` of it will be read.
    public mutating func charge(_ bytes: Int64, now: MonotonicTime) {
        _ = bucket?.charge(max(bytes, Self.leastCost), now: now)
    }

    /// One more file may be handed out. One process stays free of large ones where there is more than one.
    public var hasRoom: Bool {
        out < min(64, processes * Self.depth) && largeOut < max(1, processes - 1)
            && bundledOut < min(384, processes * Self.bundledDepth)
    }

    public mutating func began(_ bytes: Int64, bundled: Bool = false) { count(bytes, bundled, 1) }
    public mutating func ended(_ bytes: Int64, bundled: Bool = false) { count(bytes, bundled, -1) }

    private mutating func count(_ bytes: Int64, _ bundled: Bool, _ change: Int) {
        if bundled { bundledOut += change } else { out += change }
        if bytes > Self.largeFile { largeOut += change }
    }
}
