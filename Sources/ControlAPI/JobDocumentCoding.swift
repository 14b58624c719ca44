// SPDX-License-Identifier: Apache-2.0

import JobModel

/// Written by hand: the keys depend on `kind`, nil is `null`, and durations leave as milliseconds.
extension JobDocument: Codable {
    enum Keys: String, CodingKey {
        case list, line, job, id, kind, state, attempts, flags, error, timings, wait
        case startedAt = "started_at"
        case endedAt = "ended_at"
        // Downloads.
        case urls, url, host, path, bytes, digest, etag
        case finalURL = "final_url"
        case fetchedBytes = "fetched_bytes"
        case resumedBytes = "resumed_bytes"
        case contentType = "content_type"
        case lastModified = "last_modified"
        case httpStatus = "http_status"
        case httpVersion = "http_version"
        case remoteIP = "remote_ip"
        // Sums.
        case from, to, value
    }
    enum TimingKeys: String, CodingKey, CaseIterable {
        case queued = "queued_ms"
        case waiting = "waiting_ms"
        case dns = "dns_ms"
        case connect = "connect_ms"
        case tls = "tls_ms"
        case firstByte = "first_byte_ms"
        case transfer = "transfer_ms"
        case publish = "publish_ms"
        case run = "run_ms"
        case cpu = "cpu_ms"
        case total = "total_ms"

        var path: WritableKeyPath<JobTimings, Int64> {
            switch self {
            case .queued: \.queued
            case .waiting: \.waiting
            case .dns: \.dns
            case .connect: \.connect
            case .tls: \.tls
            case .firstByte: \.firstByte
            case .transfer: \.transfer
            case .publish: \.publish
            case .run: \.run
            case .cpu: \.cpu
            case .total: \.total
            }
        }
        static let download: [TimingKeys] = [
            .queued, .waiting, .dns, .connect, .tls, .firstByte, .transfer, .publish, .total,
        ]
        static let sum: [TimingKeys] = [.queued, .waiting, .run, .cpu, .total]
    }

    public func encode(to encoder: any Encoder) throws {
        var keys = encoder.container(keyedBy: Keys.self)
        try keys.encode(list, forKey: .list)
        try keys.encode(line, forKey: .line)
        try keys.encode(job, forKey: .job)
        try keys.encode(id, forKey: .id)
        try keys.encode(kind, forKey: .kind)
        try keys.encode(state.name, forKey: .state)
        try keys.encode(attempts, forKey: .attempts)
        try keys.encode(flags, forKey: .flags)
        try keys.encode(error, forKey: .error)
        try keys.encode(startedAt, forKey: .startedAt)
        try keys.encode(endedAt, forKey: .endedAt)
        try keys.encode(wait, forKey: .wait)
        var times = keys.nestedContainer(keyedBy: TimingKeys.self, forKey: .timings)
        for key in kind == .download ? TimingKeys.download : TimingKeys.sum {
            let nanoseconds = timings[keyPath: key.path]
            if nanoseconds < 0 {
                try times.encodeNil(forKey: key)
            } else {
                try times.encode((Double(nanoseconds) / 100_000).rounded() / 10, forKey: key)
            }
        }
        switch kind {
        case .download: try encode(download, to: &keys)
        case .sum:
            try keys.encode(sum.from, forKey: .from)
            try keys.encode(sum.to, forKey: .to)
            try keys.encode(sum.value, forKey: .value)
        }
    }

    private func encode(_ part: DownloadDocument, to keys: inout KeyedEncodingContainer<Keys>) throws {
        try keys.encode(part.urls, forKey: .urls)
        try keys.encode(part.url, forKey: .url)
        try keys.encode(part.finalURL, forKey: .finalURL)
        try keys.encode(part.host, forKey: .host)
        try keys.encode(part.path, forKey: .path)
        try keys.encode(part.bytes, forKey: .bytes)
        try keys.encode(part.fetchedBytes, forKey: .fetchedBytes)
        try keys.encode(part.resumedBytes, forKey: .resumedBytes)
        try keys.encode(part.digest, forKey: .digest)
        try keys.encode(part.contentType, forKey: .contentType)
        try keys.encode(part.etag, forKey: .etag)
        try keys.encode(part.lastModified, forKey: .lastModified)
        try keys.encode(part.httpStatus, forKey: .httpStatus)
        try keys.encode(part.httpVersion, forKey: .httpVersion)
        try keys.encode(part.remoteIP, forKey: .remoteIP)
    }

    public init(from decoder: any Decoder) throws {
        self.init()
        let keys = try decoder.container(keyedBy: Keys.self)
        list = try keys.decode(Int64.self, forKey: .list)
        line = try keys.decode(Int.self, forKey: .line)
        job = try keys.decodeIfPresent(String.self, forKey: .job)
        id = try keys.decodeIfPresent(String.self, forKey: .id)
        kind = try keys.decode(Kind.self, forKey: .kind)
        let name = try keys.decode(String.self, forKey: .state)
        guard let known = JobState(name: name) else {
            throw DecodingError.dataCorruptedError(
                forKey: .state, in: keys, debugDescription: "\"\(name)\" is no job state")
        }
        state = known
        attempts = try keys.decode(Int.self, forKey: .attempts)
        flags = try keys.decode([String].self, forKey: .flags)
        error = try keys.decodeIfPresent(JobErrorDocument.self, forKey: .error)
        startedAt = try keys.decodeIfPresent(Timestamp.self, forKey: .startedAt)
        endedAt = try keys.decodeIfPresent(Timestamp.self, forKey: .endedAt)
        wait = try keys.decodeIfPresent(WaitDocument.self, forKey: .wait)
        let times = try keys.nestedContainer(keyedBy: TimingKeys.self, forKey: .timings)
        for key in TimingKeys.allCases {
            let milliseconds = try times.decodeIfPresent(Double.self, forKey: key) ?? -1
            // Clamped: a number from outside must not trap in the conversion.
            let isKnown = milliseconds >= 0 && milliseconds < 1e12
            timings[keyPath: key.path] = isKnown ? Int64(milliseconds * 1_000_000) : -1
        }
        switch kind {
        case .download: download = try Self.download(from: keys)
        case .sum:
            sum.from = try keys.decode(String.self, forKey: .from)
            sum.to = try keys.decode(String.self, forKey: .to)
            sum.value = try keys.decodeIfPresent(String.self, forKey: .value)
        }
    }

    private static func download(from keys: KeyedDecodingContainer<Keys>) throws -> DownloadDocument {
        var part = DownloadDocument()
        part.urls = try keys.decode([String].self, forKey: .urls)
        part.url = try keys.decodeIfPresent(String.self, forKey: .url)
        part.finalURL = try keys.decodeIfPresent(String.self, forKey: .finalURL)
        part.host = try keys.decodeIfPresent(String.self, forKey: .host)
        part.path = try keys.decodeIfPresent(String.self, forKey: .path)
        part.bytes = try keys.decodeIfPresent(Int64.self, forKey: .bytes)
        part.fetchedBytes = try keys.decode(Int64.self, forKey: .fetchedBytes)
        part.resumedBytes = try keys.decode(Int64.self, forKey: .resumedBytes)
        part.digest = try keys.decodeIfPresent(String.self, forKey: .digest)
        part.contentType = try keys.decodeIfPresent(String.self, forKey: .contentType)
        part.etag = try keys.decodeIfPresent(String.self, forKey: .etag)
        part.lastModified = try keys.decodeIfPresent(String.self, forKey: .lastModified)
        part.httpStatus = try keys.decodeIfPresent(Int.self, forKey: .httpStatus)
        part.httpVersion = try keys.decodeIfPresent(String.self, forKey: .httpVersion)
        part.remoteIP = try keys.decodeIfPresent(String.self, forKey: .remoteIP)
        return part
    }
}
