// SPDX-License-Identifier: Apache-2.0

public import JobModel
public import LinuxKit

/// What a worker tells, in batches: one call a turn of its loop.
public enum TransferEvent: Sendable {
    /// The first line of an answer has been seen: the host has shown what it speaks. Usable is any answer but 429
    /// and 503. `sight`: of HTTP/2.
    case connected(worker: Int, token: UInt64, isHTTP2: Bool, isUsable: Bool, sight: StreamSight? = nil)
    /// A connection of HTTP/2 to the transfer's host carries as many streams as were to be proven.
    case carried(worker: Int, token: UInt64, sight: StreamSight)
    /// The answer has told the length of a file that is to ask for its room. Nothing of it is taken before
    /// `granted`; who has no room cancels.
    case sized(worker: Int, token: UInt64, total: Int64)
    /// Connections beside the first would find something to do; told again when that changes.
    case segmentsWanted(worker: Int, token: UInt64, SegmentWish)
    /// The first line of a mirror's answer has been seen. Usable is any answer but 429 and 503.
    case helperConnected(worker: Int, token: UInt64, place: Int, isUsable: Bool)
    /// A connection that was allowed is over: its slot is free. The end of a transfer frees all of its own.
    case segmentOver(SegmentReport)
    /// Four times a second at most, only transfers that moved since the last time.
    case progress(worker: Int, [TransferProgress])
    /// So much of these parts is with the kernel, and could be gone on from once it is on the disk. By bytes and
    /// by time, see `TransferSettings`; only of transfers that run on.
    case checkpoint(worker: Int, [TransferCheckpoint])
    /// In a box: batches of events are copied on their way.
    indirect case finished(TransferReport)
    /// The worker's thread has nothing left and ends, after `stop`.
    case stopped(worker: Int)
}

/// How one connection of a transfer ended that was not its first.
public struct SegmentReport: Sendable, Hashable {
    public var token: UInt64
    public var worker: Int
    /// Of the URL that it led to.
    public var place = 0
    public var load = AdaptiveCap.End.neutral
    /// What the host asked for, clamped.
    public var retryAfter: Duration?
    /// It idles in the worker's cache now.
    public var keptConnection = false
    /// Of a mirror: what was wrong with it. It gets no further connection of this transfer.
    public var trouble: Trouble?

    /// What was wrong with a mirror.
    public struct Trouble: Sendable, Hashable {
        public var error: JobError
        /// No usable connection came about.
        public var isConnectFailure = false
        /// What its answer showed of its ranges.
        public var ranges = RangeConduct.fair
    }

    public init(token: UInt64, worker: Int, place: Int = 0) {
        self.token = token
        self.worker = worker
        self.place = place
    }
}

/// How far one transfer is.
public struct TransferProgress: Sendable, Hashable {
    public var token: UInt64
    /// Of the file, those kept from earlier attempts included.
    public var bytes: Int64
    /// Length of the file, if known.
    public var total: Int64?
}

/// What a running transfer could be gone on from.
public struct TransferCheckpoint: Sendable, Hashable {
    public var token: UInt64
    public var checkpoint: Checkpoint
}

/// How one transfer ended.
public struct TransferReport: Sendable {
    public var token: UInt64
    public var seq: JobSeq
    public var worker: Int
    public var result: TransferResult
    public var response = ResponseFacts()
    public var timings = TransferTimings()
    /// Body bytes that came over the network in this transfer, discarded ones included.
    public var fetchedBytes: Int64 = 0
    /// Bytes of an earlier attempt that are part of the file.
    public var resumedBytes: Int64 = 0
    /// Places of the mirrors that have brought some of it.
    public var helpers: Set<Int> = []
    /// The part has bytes of several mirrors, of this transfer or an earlier one.
    public var isShared = false
    /// What the answers to ranges showed of the host.
    public var ranges = RangeConduct.fair
    /// Connections opened; 0: rode a warm one.
    public var newConnections = 0
    /// The staged order that has begun in its place: one ended, one started.
    public var successor: Successor?
    /// Of HTTP/2: what is left of the connections to its host.
    public var sight: StreamSight?
}

public enum TransferResult: Sendable {
    /// Whole by the server's account: 200, a checked 206, or 204. Digest and names are for others.
    case complete(PartFile)
    /// 304 to a condition of ours.
    case notModified
    /// The preflight found something at the final path; nothing was requested.
    case taken(size: Int64, modified: WallTime)
    /// Absolute, read by curl_url, without the Location's userinfo. Nothing of it has been checked against
    /// policy.
    case redirect(location: String)
    case failed(TransferFailure)
    case cancelled(resume: ResumePoint?)
}

/// A finished part file.
public struct PartFile: Sendable, Hashable {
    public var name: String
    public var device: UInt64
    public var inode: UInt64
    public var size: Int64
    /// The end was told, by a length, a last chunk, an end of stream or the size expected; false: the server
    /// just closed, which a cut connection looks like too.
    public var isLengthVerified: Bool
    /// Tells a later run that all of it is there; only of files that are worth a checkpoint.
    public var point: ResumePoint?
    /// Still open, for its fsync; nil where too many are.
    public var file: KeptFile?
    public init(name: String, device: UInt64, inode: UInt64, size: Int64, isLengthVerified: Bool) {
        self.name = name
        self.device = device
        self.inode = inode
        self.size = size
        self.isLengthVerified = isLengthVerified
    }
}

public struct TransferFailure: Sendable, Hashable {
    public var error: JobError
    /// What the server asked for, clamped.
    public var retryAfter: Duration?
    /// Where to go on from: flushed to the kernel, not synced. Who does not go on from it has the part
    /// discarded. nil: the part has been removed, or never was.
    public var resume: ResumePoint?
    /// Not the job's fault: GOAWAY, REFUSED_STREAM.
    public var isUncharged = false
    /// No usable connection came about: a name, connect or TLS failure before any byte.
    public var isConnectFailure = false
    /// Disk, descriptors, memory: trouble of this machine, not of the job.
    public var isLocal = false
    /// What it says about this machine's own network.
    public var uplink = UplinkSign.none
    /// The errno behind `isLocal`, 0 if none.
    public var systemCode: Int32 = 0

    public init(_ error: JobError) { self.error = error }

    /// The connection or its stream ended under the transfer, or nothing came any more.
    public var isCut: Bool {
        switch error.code {
        case .truncated, .stalled, .timeout: true
        default: false
        }
    }
}

/// What the answer said. Text is as the server wrote it: escape it where it is shown.
public struct ResponseFacts: Sendable, Hashable {
    public var httpStatus: Int?
    /// `1.0`, `1.1` or `2`.
    public var httpVersion: String?
    public var remoteIP: String?
    public var contentType: String?
    public var etag: String?
    public var lastModified: String?
    /// Raw, one each field.
    public var contentDispositions: [[UInt8]] = []
    /// Length of the whole file as told.
    public var contentLength: Int64?
    /// By its RateLimit fields this answer used up the host's quota; it is filled again after this long.
    public var quotaReset: Duration?
    public init() {}
}

/// Phases in nanoseconds, each alone, never below 0; 0 on a reused connection. -1: did not get there.
public struct TransferTimings: Sendable, Hashable {
    public var dns: Int64 = -1
    public var connect: Int64 = -1
    public var tls: Int64 = -1
    /// From the start of the transfer.
    public var firstByte: Int64 = -1
    public var transfer: Int64 = -1
    public init() {}
}
