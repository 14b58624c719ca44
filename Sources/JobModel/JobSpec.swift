// SPDX-License-Identifier: Apache-2.0

/// What a list entry asks for beyond its URLs. Everything is optional: nil means "as the list's defaults,
/// else as the config says".
///
/// Stored in the ledger as JSON with only the keys that are set; the names are those of JSON Lines lists, so that `STEM.failed.jsonl` can be written from it as it is.
public struct JobOptions: Sendable, Hashable, Codable {
    /// The user's own join key, copied to the results; at most 1 KiB.
    public var id: String?
    public var out: String?
    public var dir: String?
    public var checksum: Checksum?
    /// URL or path of a list of digests; `none` outdoes the list's default.
    public var checksums: String?
    /// What that list itself must have.
    public var checksumsDigest: Checksum?
    /// Expected length of the file in bytes.
    public var size: Int64?
    /// How the file is cut into pieces whose digests are known; these lie beside the options.
    public var pieces: PieceLayout?
    /// Request headers in the order given; a name may repeat.
    public var headers: [HeaderField]?
    /// `*` stands for the download's own URL.
    public var referer: String?
    public var userAgent: String?
    public var username: String?
    public var password: String?
    /// The empty string clears the configured proxy.
    public var proxy: String?
    /// Bytes a second.
    public var maxRate: Int64?
    /// 0 is no limit.
    public var maxAttempts: Int?
    public var retryDelaySeconds: Double?
    /// Stall limit in seconds: no byte for so long ends the attempt.
    public var timeoutSeconds: Double?
    public var connectTimeoutSeconds: Double?
    /// Bytes a second; a transfer slower than this over the stall window ends as `stalled`.
    public var lowestSpeed: Int64?
    /// Connections that the file is to have; 1: no segments.
    public var split: Int?
    /// Connections that the file may have at most.
    public var connectionsPerServer: Int?
    /// Bytes below which no range of it is split off.
    public var minSplitSize: Int64?
    public var exists: ExistsPolicy?
    public var remoteTime: Bool?
    /// Higher first; 0 when nil.
    public var priority: Int?
    public var pause: Bool?
    /// false asks to skip TLS verification; a list may only tighten, so it counts only where the config allows it.
    public var checkCertificate: Bool?
    /// Not an option of any list: fsck put the list back after the ledger had lost it, so the job may have run
    /// before, and what lies under its final name is looked at first.
    public var isReadmitted: Bool?

    public init() {}

    enum CodingKeys: String, CodingKey {
        case id, out, dir, checksum, checksums, size, pieces, headers, referer, username, password, proxy,
            exists,
            priority,
            pause, split
        case checksumsDigest = "checksums_digest"
        case connectionsPerServer = "max_connection_per_server"
        case minSplitSize = "min_split_size"
        case userAgent = "user_agent"
        case maxRate = "max_rate"
        case maxAttempts = "max_attempts"
        case retryDelaySeconds = "retry_delay"
        case timeoutSeconds = "timeout"
        case connectTimeoutSeconds = "connect_timeout"
        case lowestSpeed = "lowest_speed"
        case remoteTime = "remote_time"
        case checkCertificate = "check_certificate"
        case isReadmitted = "readmitted"
    }

    /// These options over a list's defaults: what is set here wins; headers add up, a name given here replaces
    /// the default's fields of that name.
    public func over(_ defaults: JobOptions) -> JobOptions {
        var merged = self
        merged.id = id ?? defaults.id
        merged.out = out ?? defaults.out
        merged.dir = dir ?? defaults.dir
        merged.checksum = checksum ?? defaults.checksum
        merged.checksums = checksums ?? defaults.checksums
        // It belongs to the list that is named beside it.
        merged.checksumsDigest =
            checksums == nil ? checksumsDigest ?? defaults.checksumsDigest : checksumsDigest
        merged.size = size ?? defaults.size
        if let inherited = defaults.headers {
            let own = headers ?? []
            let names = Set(own.map { $0.name.lowercased() })
            merged.headers = inherited.filter { !names.contains($0.name.lowercased()) } + own
        }
        merged.referer = referer ?? defaults.referer
        merged.userAgent = userAgent ?? defaults.userAgent
        merged.username = username ?? defaults.username
        merged.password = password ?? defaults.password
        merged.proxy = proxy ?? defaults.proxy
        merged.maxRate = maxRate ?? defaults.maxRate
        merged.maxAttempts = maxAttempts ?? defaults.maxAttempts
        merged.retryDelaySeconds = retryDelaySeconds ?? defaults.retryDelaySeconds
        merged.timeoutSeconds = timeoutSeconds ?? defaults.timeoutSeconds
        merged.connectTimeoutSeconds = connectTimeoutSeconds ?? defaults.connectTimeoutSeconds
        merged.lowestSpeed = lowestSpeed ?? defaults.lowestSpeed
        merged.split = split ?? defaults.split
        merged.connectionsPerServer = connectionsPerServer ?? defaults.connectionsPerServer
        merged.minSplitSize = minSplitSize ?? defaults.minSplitSize
        merged.exists = exists ?? defaults.exists
        merged.remoteTime = remoteTime ?? defaults.remoteTime
        merged.priority = priority ?? defaults.priority
        merged.pause = pause ?? defaults.pause
        merged.checkCertificate = checkCertificate ?? defaults.checkCertificate
        merged.isReadmitted = isReadmitted ?? defaults.isReadmitted
        return merged
    }
}

/// One request header field as the user gave it.
public struct HeaderField: Sendable, Hashable, Codable {
    public var name: String
    public var value: String
    public init(name: String, value: String) {
        self.name = name
        self.value = value
    }
}

/// What to do when the final path is taken (design 4.5, `output.exists`).
public enum ExistsPolicy: String, Sendable, Codable, CaseIterable {
    case rename, overwrite, skip, update, fail
}

/// A range of integers to add up, both ends included.
public struct SumRange: Sendable, Hashable, Codable {
    public let from: UInt64
    public let to: UInt64
    /// Precondition: `from <= to`.
    public init(from: UInt64, to: UInt64) {
        precondition(from <= to, "a sum range runs upwards")
        self.from = from
        self.to = to
    }
    /// How many terms; 2^64 for the full range, hence 128 bits.
    public var terms: UInt128 { UInt128(to) - UInt128(from) + 1 }
}

/// One mirror of a download, parsed and normalised by `curl_url` (module Curl).
public struct DownloadURL: Sendable, Hashable, Codable {
    /// The normalised URL, with credentials if it had any: for the wire and the ledger, never for show.
    public let text: String
    /// Lower-case scheme: `http`, `https`, ...
    public let scheme: String
    public let host: HostKey
    public init(text: String, scheme: String, host: HostKey) {
        self.text = text
        self.scheme = scheme
        self.host = host
    }
}

/// A host that courtesy is counted for: lower-case name, `:port` added where it is not the scheme's own,
/// IPv6 in brackets. Both schemes of a name on their usual ports are one host.
public struct HostKey: RawRepresentable, Hashable, Sendable, Codable, Comparable, CustomStringConvertible {
    public let rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }
    public init(_ value: String) { rawValue = value }
    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    public var description: String { rawValue }
    /// The lane of sum jobs, which have no host.
    public static let none = HostKey("")
}

/// A path below the output directory: non-empty, `/`-separated, no empty, `.` or `..` component, valid UTF-8.
///
/// Compared byte by byte. A Swift String would call "é" in its two spellings equal; to Linux they are two files.
public struct OutputPath: Sendable, Hashable, Codable, CustomStringConvertible {
    public let bytes: [UInt8]
    /// The caller vouches for the rules above: `OutputName` and `OutputLayout` make these.
    public init(trusted text: String) { bytes = Array(text.utf8) }
    public var description: String { String(decoding: bytes, as: UTF8.self) }
    public init(from decoder: any Decoder) throws {
        bytes = Array(try decoder.singleValueContainer().decode(String.self).utf8)
    }
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
    /// The parts between slashes.
    public var components: [String] {
        bytes.split(separator: UInt8(ascii: "/")).map { String(decoding: $0, as: UTF8.self) }
    }
    public var parent: String { components.dropLast().joined(separator: "/") }
    public var lastComponent: String { components.last ?? "" }
    /// The same directory, another last component.
    public func renamed(_ name: String) -> OutputPath {
        let folder = parent
        return OutputPath(trusted: folder.isEmpty ? name : folder + "/" + name)
    }
    /// `a/name.N.ext` for `a/name.ext`, as aria2 renames. A name at the limit of 255 bytes gives up the end of its
    /// stem to the number.
    public func numbered(_ number: Int) -> OutputPath {
        let name = Array(lastComponent.utf8)
        // What is longer than any extension is part of the stem: it can give way to the number.
        let last = name.lastIndex(of: UInt8(ascii: "."))
        let dot = last.flatMap { $0 > 0 && name.count - $0 <= 64 ? $0 : nil } ?? name.count
        let tail = Array(".\(number)".utf8) + name[dot...]
        let stem = OutputName.prefix(name[..<dot], OutputName.maxBytes - tail.count)
        let renamed = String(decoding: stem + tail, as: UTF8.self)
        return self.renamed(renamed)
    }
}
