// SPDX-License-Identifier: Apache-2.0

// The three lines that a job leaves behind: in NAME.results.jsonl, in jobs.log, in STEM.failed.jsonl.
//
// Every object of a kind has every key, in this order, each of one JSON type or null; keys are only ever
// added, at the end. Each line ends in LF.

extension ResultRecord {
    /// The object of `NAME.results.jsonl`, also what `/v1/jobs` shows. With `masking` (always, but for a
    /// test) secrets in URLs are `***`.
    public func resultLine(masking: Bool = true) -> [UInt8] {
        var json = JSONText(room: Self.usualLine)
        json.object { appendFields(to: &$0, masking: masking) }
        json.endLine()
        return json.bytes
    }

    /// The object of `jobs.log`: the same, and who did the work.
    public func logLine(masking: Bool = true) -> [UInt8] {
        var json = JSONText(room: Self.usualLine)
        json.object {
            appendFields(to: &$0, masking: masking)
            $0.field("worker", outcome?.worker)
        }
        json.endLine()
        return json.bytes
    }

    /// Bytes that hold most lines.
    private static let usualLine = 1280

    private func appendFields(to json: inout JSONText, masking: Bool) {
        json.field("list", list.rawValue)
        json.field("line", line)
        json.field("job", job?.description)
        json.field("id", userID)
        switch kind {
        case .download(let urls, let host):
            appendDownload(urls: urls, host: host, to: &json, masking: masking)
        case .badLine:
            appendDownload(urls: [], host: nil, to: &json, masking: masking)
        case .sum(let range):
            appendSum(range, to: &json)
        }
    }

    private func appendDownload(urls: [String], host: HostKey?, to json: inout JSONText, masking: Bool) {
        func shown(_ url: String?) -> String? { masking ? url.map(Masking.url) : url }
        json.field("kind", "download")
        json.field("state", state.name)
        json.key("urls")
        json.array { for url in urls { $0.value(shown(url)) } }
        json.field("url", shown(urls.first))
        json.field("final_url", shown(outcome?.finalURL))
        json.field("host", host?.rawValue)
        json.field("path", outcome?.path?.description)
        json.field("bytes", outcome?.bytes)
        json.field("fetched_bytes", outcome?.fetchedBytes ?? 0)
        json.field("resumed_bytes", outcome?.resumedBytes ?? 0)
        json.field("digest", outcome?.digest?.description)
        json.field("content_type", outcome?.contentType)
        json.field("etag", outcome?.etag)
        json.field("last_modified", outcome?.lastModified)
        json.field("http_status", outcome?.httpStatus)
        json.field("http_version", outcome?.httpVersion)
        json.field("remote_ip", outcome?.remoteIP)
        appendEnd(to: &json)
        json.key("timings")
        let timings = outcome?.timings ?? JobTimings()
        json.object {
            $0.field("queued_ms", nanoseconds: timings.queued)
            $0.field("waiting_ms", nanoseconds: timings.waiting)
            $0.field("dns_ms", nanoseconds: timings.dns)
            $0.field("connect_ms", nanoseconds: timings.connect)
            $0.field("tls_ms", nanoseconds: timings.tls)
            $0.field("first_byte_ms", nanoseconds: timings.firstByte)
            $0.field("transfer_ms", nanoseconds: timings.transfer)
            $0.field("publish_ms", nanoseconds: timings.publish)
            $0.field("total_ms", nanoseconds: timings.total)
        }
    }

    private func appendSum(_ range: SumRange, to json: inout JSONText) {
        json.field("kind", "sum")
        json.field("state", state.name)
        // Strings: a reader that keeps numbers as doubles would round bounds above 2^53.
        json.field("from", String(range.from))
        json.field("to", String(range.to))
        json.field("value", outcome?.value)
        appendEnd(to: &json)
        json.key("timings")
        let timings = outcome?.timings ?? JobTimings()
        json.object {
            $0.field("queued_ms", nanoseconds: timings.queued)
            $0.field("waiting_ms", nanoseconds: timings.waiting)
            $0.field("run_ms", nanoseconds: timings.run)
            $0.field("cpu_ms", nanoseconds: timings.cpu)
            $0.field("total_ms", nanoseconds: timings.total)
        }
    }

    private func appendEnd(to json: inout JSONText) {
        json.field("attempts", outcome?.attempts ?? 0)
        json.key("flags")
        json.array { for flag in outcome?.flags ?? [] { $0.value(flag.rawValue) } }
        json.key("error")
        if let error = outcome?.error {
            json.object {
                $0.field("code", error.code.name)
                $0.field("class", error.code.errorClass.rawValue)
                $0.field("message", error.message)
                $0.field("retryable", error.isRetryable)
            }
        } else {
            json.null()
        }
        json.field("started_at", outcome?.startedAt)
        json.field("ended_at", outcome?.endedAt)
    }
}

extension ResultRecord {
    /// The entry of `STEM.failed.jsonl`: a JSON Lines entry that does this job again, with all its options
    /// and unmasked, so the file is as secret as the list was. nil for a job that is done and for a bad
    /// line.
    public func retryLine() -> [UInt8]? { state == .done ? nil : entryLine() }

    /// The same, however the job ended; nil for a bad line.
    public func entryLine() -> [UInt8]? {
        var json = JSONText()
        switch kind {
        case .badLine: return nil
        case .sum(let range):
            json.object {
                $0.key("sum")
                $0.object {
                    $0.field("from", range.from)
                    $0.field("to", range.to)
                }
                appendCommon(to: &$0)
            }
        case .download(let urls, _):
            json.object {
                if urls.count == 1 {
                    $0.field("url", urls[0])
                } else {
                    $0.key("urls")
                    $0.array { for url in urls { $0.value(url) } }
                }
                appendOptions(to: &$0)
                appendCommon(to: &$0)
            }
        }
        return json.bytes + [UInt8(ascii: "\n")]
    }

    /// What downloads and sums both take.
    private func appendCommon(to json: inout JSONText) {
        if let id = userID ?? options.id { json.field("id", id) }
        if let attempts = options.maxAttempts { json.field("max_attempts", attempts) }
        if let priority = options.priority { json.field("priority", priority) }
        if let pause = options.pause { json.field("pause", pause) }
    }

    private func appendOptions(to json: inout JSONText) {
        func text(_ key: StaticString, _ value: String?) { if let value { json.field(key, value) } }
        text("out", options.out)
        text("dir", options.dir)
        text("checksum", options.checksum?.description)
        text("checksums", options.checksums)
        text("checksums_digest", options.checksumsDigest?.description)
        if let size = options.size { json.field("size", size) }
        if let pieces { append(pieces, to: &json) }
        if let headers = options.headers, !headers.isEmpty { append(headers, to: &json) }
        text("referer", options.referer)
        text("user_agent", options.userAgent)
        text("username", options.username)
        text("password", options.password)
        text("proxy", options.proxy)
        if let rate = options.maxRate { json.field("max_rate", rate) }
        if let delay = options.retryDelaySeconds { json.field("retry_delay", delay) }
        if let timeout = options.timeoutSeconds { json.field("timeout", timeout) }
        if let timeout = options.connectTimeoutSeconds { json.field("connect_timeout", timeout) }
        if let speed = options.lowestSpeed { json.field("lowest_speed", speed) }
        if let split = options.split { json.field("split", split) }
        if let most = options.connectionsPerServer { json.field("max_connection_per_server", most) }
        if let size = options.minSplitSize { json.field("min_split_size", size) }
        text("exists", options.exists?.rawValue)
        if let remoteTime = options.remoteTime { json.field("remote_time", remoteTime) }
        if let check = options.checkCertificate { json.field("check_certificate", check) }
    }

    private func append(_ pieces: PieceHashes, to json: inout JSONText) {
        json.key("pieces")
        json.object {
            $0.field("type", pieces.layout.algorithm.rawValue)
            $0.field("length", pieces.layout.length)
            $0.field("hashes", pieces.base64)
        }
    }

    /// A name that repeats becomes one key with an array: JSON keys are unique.
    private func append(_ headers: [HeaderField], to json: inout JSONText) {
        var order: [String] = []
        var fields: [String: (name: String, values: [String])] = [:]
        for header in headers {
            let key = header.name.lowercased()
            if fields[key] == nil { order.append(key) }
            fields[key, default: (header.name, [])].values.append(header.value)
        }
        json.key("headers")
        json.object {
            for field in order.compactMap({ fields[$0] }) {
                $0.key(named: field.name)
                if field.values.count == 1 {
                    $0.value(field.values[0])
                } else {
                    $0.array { for value in field.values { $0.value(value) } }
                }
            }
        }
    }
}
