// SPDX-License-Identifier: Apache-2.0

/// The row number of a host in the ledger.
public struct HostID: RawRepresentable, Hashable, Sendable, Comparable {
    public let rawValue: Int64
    public init(rawValue: Int64) { self.rawValue = rawValue }
    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// The jobs of one list for one host: what the dispatcher goes round over.
public struct LaneKey: Hashable, Sendable {
    public let list: ListID
    public let host: HostID
    public init(list: ListID, host: HostID) {
        self.list = list
        self.host = host
    }
}

/// A hold that outlived a restart.
public struct HeldHost: Sendable, Hashable {
    public var host: HostKey
    public var until: WallTime
    public var reason: String?
    /// How long the host has given nothing usable while jobs waited, as an earlier run counted it.
    public var barren: Duration
    public init(host: HostKey, until: WallTime, reason: String?, barren: Duration) {
        self.host = host
        self.until = until
        self.reason = reason
        self.barren = barren
    }
}

/// A lane that has queued jobs, as the ledger hands it to the dispatcher.
public struct LaneRow: Sendable, Hashable {
    public var key: LaneKey
    public var host: HostKey
    public var queued: Int
    /// A hold that outlived a restart, if it lies ahead.
    public var heldUntil: WallTime?
    public var holdReason: String?
    /// How long the host has given nothing usable while jobs waited, as an earlier run counted it.
    public var barren: Duration
    public init(
        key: LaneKey, host: HostKey, queued: Int, heldUntil: WallTime?, holdReason: String?,
        barren: Duration = .zero
    ) {
        self.key = key
        self.host = host
        self.queued = queued
        self.heldUntil = heldUntil
        self.holdReason = holdReason
        self.barren = barren
    }
}

/// A place in a lane's order: (rank, seq), rank being minus the priority. Rows after it have not been read.
public struct LaneCursor: Sendable, Hashable {
    public var rank: Int
    public var seq: JobSeq
    public init(rank: Int, seq: JobSeq) {
        self.rank = rank
        self.seq = seq
    }
    public static let start = LaneCursor(rank: .min, seq: JobSeq(0))
}

/// What was kept of an unfinished download, so that the next attempt can go on from it.
public struct ResumePoint: Sendable, Hashable, Codable {
    /// The URL the bytes came from, after redirects.
    public var url: String
    /// Contiguous bytes from 0 known to be on disk.
    public var bytes: Int64
    /// What is on the disk beyond them, in order, of a file that was fetched in segments; nil where there is nothing.
    public var ranges: [ByteRange]?
    /// Length of the whole file as the server told it.
    public var total: Int64?
    /// Strong validators only; without one there is no resume point.
    public var etag: String?
    public var lastModified: String?
    /// Identity of the part file.
    public var device: UInt64
    public var inode: UInt64
    /// Name of the part file, see `PartName`: another one each time the part begins anew.
    public var part: String
    /// What is known was proved by digests of pieces, and what comes will be: it may come from any mirror, and the
    /// length alone has to be the same. There is no validator.
    public var isProven: Bool?
    /// Other mirrors than that of `url` had a share in it, which a digest or a validator has vouched for.
    public var isShared: Bool?
    public init(
        url: String, bytes: Int64, total: Int64?, etag: String?, lastModified: String?, device: UInt64,
        inode: UInt64, part: String
    ) {
        self.url = url
        self.bytes = bytes
        self.total = total
        self.etag = etag
        self.lastModified = lastModified
        self.device = device
        self.inode = inode
        self.part = part
    }

    /// A whole file of which only these ranges, in order and not empty, are right.
    public init(
        sound: [ByteRange], of size: Int64, from url: String, device: UInt64, inode: UInt64, part: String
    ) {
        let front = sound.first.flatMap { $0.start == 0 ? $0.end : nil } ?? 0
        self.init(
            url: url, bytes: front, total: size, etag: nil, lastModified: nil, device: device, inode: inode,
            part: part)
        let rest = sound.filter { $0.start > 0 }
        ranges = rest.isEmpty ? nil : rest
        isProven = true
    }

    /// Every byte of the file is there.
    public var isWhole: Bool { total == bytes }
    /// Bytes known to be on disk, wherever they lie.
    public var known: Int64 { (ranges ?? []).reduce(bytes) { $0 &+ $1.count } }
    /// One beyond the last byte known to be on disk.
    public var extent: Int64 { max(bytes, ranges?.last?.end ?? 0) }
}

/// What the ledger knows of a file under a final path: stands on its own after the list is gone.
public struct FileRecord: Sendable, Hashable {
    public var path: OutputPath
    public var url: String
    public var finalURL: String?
    public var size: Int64
    public var digest: Checksum?
    public var etag: String?
    public var lastModified: String?
    public var contentType: String?
    public var publishedAt: WallTime
    public init(
        path: OutputPath, url: String, finalURL: String?, size: Int64, digest: Checksum?, etag: String?,
        lastModified: String?, contentType: String?, publishedAt: WallTime
    ) {
        self.path = path
        self.url = url
        self.finalURL = finalURL
        self.size = size
        self.digest = digest
        self.etag = etag
        self.lastModified = lastModified
        self.contentType = contentType
        self.publishedAt = publishedAt
    }
}

/// A queued job as the dispatcher gets it.
public struct QueuedJob: Sendable, Hashable {
    public enum Work: Sendable, Hashable {
        case download(urls: [DownloadURL], path: OutputPath)
        case sum(SumRange)
    }
    public var seq: JobSeq
    public var id: JobID
    public var lane: LaneKey
    public var line: Int
    public var rank: Int
    public var work: Work
    public var sharedOptions: SharedOptions
    /// Attempts charged so far.
    public var attempts: Int
    /// Body bytes received in earlier attempts.
    public var fetchedBytes: Int64
    public var admittedAt: WallTime
    public var startedAt: WallTime?
    /// Nanoseconds spent in back-off so far.
    public var waited: Int64
    public var resume: ResumePoint?
    /// Crashes of the daemon that it was under way in, since its last attempt that ended.
    public var crashes = 0
    /// How often its file came with a wrong digest.
    public var mismatches = 0
    /// Set for a job of dld's own, which fetches a list of digests.
    public var errand: DigestErrand?
    /// Of a job with several URLs: what they have shown, and which one its lane's host belongs to.
    public var mirrors: MirrorRecord?
    public init(
        seq: JobSeq, id: JobID, lane: LaneKey, line: Int, rank: Int, work: Work, options: SharedOptions,
        attempts: Int,
        fetchedBytes: Int64, admittedAt: WallTime, startedAt: WallTime?, waited: Int64, resume: ResumePoint?
    ) {
        self.seq = seq
        self.id = id
        self.lane = lane
        self.line = line
        self.rank = rank
        self.work = work
        sharedOptions = options
        self.attempts = attempts
        self.fetchedBytes = fetchedBytes
        self.admittedAt = admittedAt
        self.startedAt = startedAt
        self.waited = waited
        self.resume = resume
    }

    /// Own options over the list's defaults.
    public var options: JobOptions {
        get { sharedOptions.value }
        set { sharedOptions = SharedOptions(newValue) }
    }

    /// The host that it is queued for: that of the URL that it tries next. nil: it has no URL.
    public var laneHost: HostKey? {
        guard case .download(let urls, _) = work, !urls.isEmpty else { return nil }
        return urls[min(max(0, mirrors?.next ?? 0), urls.count - 1)].host
    }
}

/// What the ledger says when a job asks for its final path, just before its first attempt starts.
public enum PathClaim: Sendable, Hashable {
    /// The path is this job's now; `known` is the file the ledger once published there.
    case granted(known: FileRecord?)
    /// A live job with the same URL holds it, or held it while this job was live: end as that one does.
    case duplicate(of: JobSeq, ended: Outcome?)
    /// A live job with another URL holds it: `exists` decides.
    case taken(by: JobSeq)
}

/// A change of a job's resting state, applied by the ledger in the order sent. What is large lies in a box: changes are
/// copied from array to array on their way.
public enum JobChange: Sendable, Hashable {
    /// An attempt has begun. Rides in the next commit; nobody waits for it.
    case active(JobSeq, attempts: Int, startedAt: WallTime)
    /// Back to queued without charge (held host, shutdown, a worker that died under a sum).
    indirect case requeued(JobSeq, attempts: Int, fetchedBytes: Int64, waited: Int64, resume: ResumePoint?)
    /// In its own back-off until `due`.
    indirect case waiting(
        JobSeq, due: WallTime, attempts: Int, fetchedBytes: Int64, waited: Int64, error: JobError,
        resume: ResumePoint?)
    indirect case paused(JobSeq, attempts: Int, fetchedBytes: Int64, resume: ResumePoint?)
    /// Of a running attempt: this much is on the disk. Rides in a commit that nobody waits for; has no effect on a
    /// job that is not `active` any more.
    indirect case checkpoint(JobSeq, fetchedBytes: Int64, resume: ResumePoint)
    /// Its mirrors have shown something; its lane is that of `host` from here on, the next one's.
    indirect case mirrored(JobSeq, host: HostKey, record: MirrorRecord)
    /// Data is on disk; the rename may follow once this is committed.
    indirect case publishing(
        JobSeq, part: String, path: OutputPath, device: UInt64, inode: UInt64, size: Int64, outcome: Outcome)
    /// Terminal.
    indirect case ended(JobSeq, Outcome)

    public var seq: JobSeq {
        switch self {
        case .active(let seq, _, _), .requeued(let seq, _, _, _, _), .waiting(let seq, _, _, _, _, _, _),
            .paused(let seq, _, _, _), .checkpoint(let seq, _, _), .mirrored(let seq, _, _),
            .publishing(let seq, _, _, _, _, _, _),
            .ended(let seq, _):
            seq
        }
    }
}

/// A job found in `publishing` at a start: renamed or not, the file with this inode is ours.
public struct InterruptedPublish: Sendable, Hashable {
    public var job: QueuedJob
    /// Name of the part file.
    public var part: String
    public var path: OutputPath
    public var device: UInt64
    public var inode: UInt64
    public var size: Int64
    public var outcome: Outcome
    public init(
        job: QueuedJob, part: String, path: OutputPath, device: UInt64, inode: UInt64, size: Int64,
        outcome: Outcome
    ) {
        self.job = job
        self.part = part
        self.path = path
        self.device = device
        self.inode = inode
        self.size = size
        self.outcome = outcome
    }
}

/// A list as status, `/v1/lists` and the end-of-list work see it.
public struct ListRow: Sendable, Hashable {
    public var id: ListID
    public var name: String
    public var acceptedName: String
    /// Name in `done/`, `failed/` or `rejected/` once closed.
    public var finalName: String?
    public var format: ListFormat
    public var isGzip: Bool
    public var state: ListState
    public var device: UInt64
    public var inode: UInt64
    public var position: ListPosition
    public var defaults: JobOptions
    public var isPaused: Bool
    public var counts: StateCounts
    /// Bytes of finished files.
    public var bytes: Int64
    public var admittedAt: WallTime
    public var endedAt: WallTime?
    public init(
        id: ListID, name: String, acceptedName: String, finalName: String?, format: ListFormat, isGzip: Bool,
        state: ListState, device: UInt64, inode: UInt64, position: ListPosition, defaults: JobOptions,
        isPaused: Bool,
        counts: StateCounts, bytes: Int64, admittedAt: WallTime, endedAt: WallTime?
    ) {
        self.id = id
        self.name = name
        self.acceptedName = acceptedName
        self.finalName = finalName
        self.format = format
        self.isGzip = isGzip
        self.state = state
        self.device = device
        self.inode = inode
        self.position = position
        self.defaults = defaults
        self.isPaused = isPaused
        self.counts = counts
        self.bytes = bytes
        self.admittedAt = admittedAt
        self.endedAt = endedAt
    }
}

/// A part file that nobody goes on with any more.
public struct ExpiredPart: Sendable, Hashable {
    /// As it stands in its parts directory.
    public var name: String
    /// The final path that it was for: it lies in that path's home.
    public var path: OutputPath
    public init(name: String, path: OutputPath) {
        self.name = name
        self.path = path
    }
}
