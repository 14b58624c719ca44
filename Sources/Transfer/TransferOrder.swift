// SPDX-License-Identifier: Apache-2.0

public import JobModel

/// Asks for "only if it has changed" (RFC 9110 section 13.1); the answer may then be 304.
public enum Condition: Sendable, Hashable {
    /// If-None-Match with this ETag as the server wrote it.
    case etag(String)
    /// If-Modified-Since.
    case modifiedSince(WallTime)
}

/// Asks whether the final path is taken, before anything is requested. It only tells: what follows is for
/// `output.exists`, and the rename decides in the end.
public struct Preflight: Sendable, Hashable {
    public var path: OutputPath
    public init(path: OutputPath) { self.path = path }
}

/// One transfer that may start now: everything policy decided, nothing left to look up.
public struct TransferOrder: Sendable {
    /// Names the transfer in every event; the sender's own, never reused while it runs.
    public var token: UInt64
    public var seq: JobSeq
    public var url: DownloadURL
    /// Request headers, in order. The sender leaves out what must not reach this origin.
    public var headers: [HeaderField] = []
    /// Basic authentication. For the origin that they were given for only.
    public var username: String?
    public var password: String?
    /// `*` stands for the transfer's own URL.
    public var referer: String?
    public var userAgent: String?
    /// "" or nil: no proxy. The environment does not count.
    public var proxy: String?
    /// The proxy's own address is exempt from `addressPolicy`: it comes from the config.
    public var isProxyTrusted = false
    /// Name of the part file in the parts directory, should one be begun; never that of `resume`'s.
    public var partName: String
    /// The mount that the part lies on.
    public var home = PartHome.output
    /// Go on from here. The part is checked before, the answer before its first byte is written.
    public var resume: ResumePoint?
    /// False towards a host that is known to answer ranges with something else.
    public var asksRanges = true
    /// The finished file will be compared with a digest that the list gave.
    public var hasDigest = false
    /// How many connections the file may have.
    public var segments = SegmentRules.none
    /// Of the URL among those of its job.
    public var place = 0
    /// Places of the mirrors that may have a share in the file, by preference; what each is asked with comes with
    /// `openSegment`.
    public var helpers: [Int] = []
    public var condition: Condition?
    public var preflight: Preflight?
    /// Length that the file must have, bytes.
    public var expectedSize: Int64?
    /// Longest acceptable file, bytes; nil is no limit.
    public var maxFileSize: Int64?
    public var connectTimeout: Duration = .seconds(10)
    /// No faster than `lowestSpeed` for so long ends the transfer as stalled. About 6 s of libcurl's
    /// averaging come on top.
    public var stallTimeout: Duration = .seconds(60)
    /// Bytes a second; nil is one.
    public var lowestSpeed: Int64?
    /// Bytes a second for this transfer alone.
    public var maxRate: Int64?
    /// Shared by all transfers of the host, on whatever worker.
    public var hostLimiter: RateLimiter?
    /// The job's deadline.
    public var deadline: MonotonicTime?
    /// The attempt's: ends it as timed out, to be tried again.
    public var attemptDeadline: MonotonicTime?
    public var checkCertificate = true
    public var caFile: String?
    /// Lower-case schemes that may be used.
    public var protocols: Set<String> = ["http", "https"]
    public var addressPolicy = AddressPolicy(rule: .redirectDeny, isRedirectFromPublic: false)
    /// Wait for a connection to share (`CURLOPT_PIPEWAIT`): only towards a host known to speak HTTP/2.
    public var waitsForMultiplex = false
    /// Open a connection for the first request (`CURLOPT_FRESH_CONNECT`), whatever is there. Others may share it.
    public var opensConnection = false
    /// So many streams on one connection of its host are to be proven: told as soon as they are (`carried`).
    public var streamsToProve: Int?
    /// It may come to share its connection with others: who rides which is looked at.
    public var mayShareConnection = false
    /// Mode bits of the part, set whatever the umask.
    public var fileMode: UInt32 = 0o644
    /// Gives the file the server's Last-Modified.
    public var keepsRemoteTime = false
    /// Behind which a staged order takes this one's place when it has ended well; needed by one that is staged.
    public var gate: StageGate?

    public init(token: UInt64, seq: JobSeq, url: DownloadURL, partName: String) {
        self.token = token
        self.seq = seq
        self.url = url
        self.partName = partName
    }
}

/// How a mirror is asked for a part of a file that another source is bringing.
public struct HelperOrder: Sendable {
    /// Of its URL in the job.
    public var place: Int
    /// URL, headers, credentials, proxy, policy and rate are the mirror's own; all else is the transfer's.
    public var order: TransferOrder
    public init(place: Int, order: TransferOrder) {
        self.place = place
        self.order = order
    }
}

/// What a worker is told. Sent from any thread; handled in order.
public enum TransferCommand: Sendable {
    /// Answered by exactly one `finished`. In a box: commands are copied on their way.
    indirect case start(TransferOrder)
    /// Is not begun before a transfer behind the same gate ends well, whose report then names it, or before `begin`.
    /// Answered by one `finished` as well.
    indirect case stage(TransferOrder)
    /// A staged order is begun now, unless it was already.
    case begin(token: UInt64)
    /// A staged order is given back, unless it has begun: its `finished` says `cancelled`.
    case unstage(token: UInt64)
    /// Ends one; its `finished` says `cancelled`, unless it had ended already. `keepsPart`: what arrived is
    /// synced and reported as a resume point where the server gave a strong validator; else the part is
    /// removed.
    case cancel(token: UInt64, keepsPart: Bool)
    /// New limits for connections opened from now on.
    case connectionLimits(cacheSize: Int, perHost: Int, streams: Int)
    /// There is room for what `sized` told: its bytes may come.
    case granted(token: UInt64)
    /// One more connection may be opened for this transfer. Answered by one `segmentOver`, unless the transfer ends.
    /// To where its first leads, or to a mirror.
    indirect case openSegment(token: UInt64, helper: HelperOrder? = nil, isOpen: Bool = false)
    /// Its connections beside the first, those to the URLs of these places, are wanted elsewhere: as many end, what they
    /// have is kept.
    case closeSegments(token: UInt64, count: Int, places: Set<Int>)
    /// Closes the open directories of parts: a disk has gone or come.
    case forgetFolders
    /// Cancels all, reports, and ends the thread.
    case stop(keepsParts: Bool)
}
