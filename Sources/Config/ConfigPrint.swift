// SPDX-License-Identifier: Apache-2.0

internal import JobModel

/// One key of the configuration with its value, for printing and comparing.
struct ConfigEntry {
    /// `["hosts", "*.example.org", "rate"]`.
    let path: [String]
    /// The value as JSON.
    let json: String

    var pathText: String {
        path.map { part in
            part.utf8.allSatisfy { UInt8(ascii: "a")...UInt8(ascii: "z") ~= $0 || $0 == UInt8(ascii: "_") }
                ? part : "\"\(part)\""
        }.joined(separator: ".")
    }
}

extension Configuration {
    /// The whole configuration as JSON that `ConfigFile` reads back, defaults included. With `masked` the
    /// credentials of a proxy URL are `***`.
    public func printed(masked: Bool = true) -> String {
        var text = "{\n"
        var open: [String] = []
        var isFirst = true
        for entry in entries(masked: masked) {
            let groups = Array(entry.path.dropLast())
            while !groups.starts(with: open) {
                open.removeLast()
                text += "\n" + Self.indent(open.count + 1) + "}"
            }
            for group in groups[open.count...] {
                text += (isFirst ? "" : ",\n") + Self.indent(open.count + 1) + Self.quoted(group) + ": {\n"
                open.append(group)
                isFirst = true
            }
            text += (isFirst ? "" : ",\n") + Self.indent(open.count + 1)
            text += Self.quoted(entry.path[entry.path.count - 1]) + ": " + entry.json
            isFirst = false
        }
        while !open.isEmpty {
            open.removeLast()
            text += "\n" + Self.indent(open.count + 1) + "}"
        }
        return text + "\n}\n"
    }

    /// Paths of keys that differ, in the order of `printed`.
    public static func changedKeys(from old: Configuration, to new: Configuration) -> [String] {
        let before = Dictionary(
            uniqueKeysWithValues: old.entries(masked: false).map { ($0.pathText, $0.json) })
        let after = Dictionary(
            uniqueKeysWithValues: new.entries(masked: false).map { ($0.pathText, $0.json) })
        let gone = old.entries(masked: false).map(\.pathText).filter { after[$0] == nil }
        return new.entries(masked: false).map(\.pathText).filter { before[$0] != after[$0] } + gone
    }

    /// Of those, the ones that a reload cannot apply: they take effect at the next start.
    public static func keysNeedingRestart(from old: Configuration, to new: Configuration) -> [String] {
        changedKeys(from: old, to: new).filter { restartKeys.contains($0) }
    }

    /// What is opened, locked or started once: directories, the socket, threads, processes.
    public static let restartKeys: Set<String> = [
        "spool_dir", "output_dir", "state_dir", "control.socket", "workers", "transfers_per_worker",
        "durability",
        "log.format", "log.jobs_file", "output.dir_mode", "limits.max_list_size",
        "segments.checkpoint_bytes", "segments.checkpoint_interval",
    ]

    /// Every key in the order of the example file.
    func entries(masked: Bool) -> [ConfigEntry] {
        var list: [ConfigEntry] = []
        func add(_ path: String..., json: String) { list.append(ConfigEntry(path: path, json: json)) }
        add("spool_dir", json: Self.quoted(spoolDir))
        add("output_dir", json: Self.quoted(outputDir))
        add("state_dir", json: Self.quoted(stateDir))
        add("workers", json: String(workers))
        add("transfers_per_worker", json: String(transfersPerWorker))
        add("durability", json: Self.quoted(durability.rawValue))
        add("control", "socket", json: Self.quoted(controlSocket))
        add("spool", "quiet", json: Self.text(spool.quiet))
        add("spool", "rescan", json: Self.text(spool.rescan))
        add("log", "level", json: Self.quoted(log.level.rawValue))
        add("log", "format", json: Self.quoted(log.format.rawValue))
        add("log", "jobs_file", json: jobsFileText)
        list += hostEntries("default", hosts.defaults.asOverride)
        for (pattern, given) in hosts.overrides.sorted(by: { $0.key < $1.key }) {
            list += hostEntries(pattern, given)
        }
        add("retry", "max_attempts", json: String(retry.maxAttempts))
        add("retry", "base_delay", json: Self.text(retry.baseDelay))
        add("retry", "max_delay", json: Self.text(retry.maxDelay))
        add("timeouts", "connect", json: Self.text(timeouts.connect))
        add("timeouts", "stall", json: Self.text(timeouts.stall))
        add("timeouts", "attempt", json: timeouts.attempt.map(Self.text) ?? "null")
        add("timeouts", "job", json: timeouts.job.map(Self.text) ?? "null")
        add("timeouts", "drain", json: Self.text(timeouts.drain))
        add("limits", "max_file_size", json: Self.text(size: limits.maxFileSize))
        add("limits", "max_list_size", json: Self.text(size: limits.maxListSize))
        add("limits", "max_checksums_size", json: Self.text(size: limits.maxChecksumsSize))
        add("limits", "max_redirects", json: String(limits.maxRedirects))
        add("limits", "min_free", json: Self.text(size: limits.minFree))
        add("limits", "total_rate", json: Self.text(timetable: limits.totalRate))
        return list + laterEntries(masked: masked)
    }

    private func laterEntries(masked: Bool) -> [ConfigEntry] {
        var list: [ConfigEntry] = []
        func add(_ path: String..., json: String) { list.append(ConfigEntry(path: path, json: json)) }
        add("segments", "per_file", json: segments.perFile.map(String.init) ?? "null")
        add("segments", "min_size", json: Self.text(size: segments.minSize))
        add("segments", "checkpoint_bytes", json: Self.text(size: segments.checkpointBytes))
        add("segments", "checkpoint_interval", json: Self.text(segments.checkpointInterval))
        add("retention", "lists", json: retention.lists.map(Self.text) ?? Self.quoted("keep"))
        add("retention", "parts", json: Self.text(retention.parts))
        add("digest", "always", json: digest.always.map { Self.quoted($0.rawValue) } ?? "null")
        add("digest", "write", json: Self.quoted(digest.write.rawValue))
        add("digest", "keep_bad", json: String(digest.keepsBad))
        add("verify", "rate", json: Self.text(timetable: verify.rate))
        add("output", "exists", json: Self.quoted(output.exists.rawValue))
        add("output", "layout", json: Self.quoted(output.layout.template))
        add("output", "file_mode", json: Self.octal(output.fileMode))
        add("output", "dir_mode", json: Self.octal(output.dirMode))
        add("output", "remote_time", json: String(output.remoteTime))
        add("output", "content_disposition", json: String(output.contentDisposition))
        add("network", "private_addresses", json: Self.quoted(network.privateAddresses.rawValue))
        add(
            "network", "protocols",
            json: "[" + network.protocols.sorted().map(Self.quoted).joined(separator: ", ") + "]")
        add("network", "down_after", json: Self.text(network.downAfter))
        add("network", "https_downgrade", json: String(network.httpsDowngrade))
        add("network", "check_certificate", json: String(network.checkCertificate))
        add("network", "ca_file", json: Self.quoted(network.caFile))
        add("network", "proxy", json: Self.quoted(masked ? network.proxy.map(Masking.url) : network.proxy))
        add("network", "user_agent", json: Self.quoted(network.userAgent))
        add("sum", "processes", json: String(sum.processes))
        add("sum", "max_terms", json: String(sum.maxTerms))
        return list
    }

    private func hostEntries(_ pattern: String, _ given: HostOverride) -> [ConfigEntry] {
        var list: [ConfigEntry] = []
        func add(_ key: String, _ json: String?) {
            if let json { list.append(ConfigEntry(path: ["hosts", pattern, key], json: json)) }
        }
        add("connections", given.connections.map { String($0) })
        add("streams", given.streams.map { String($0) })
        add(
            "requests_per_second",
            given.requestsPerSecond.map { $0.map(Self.number) ?? Self.quoted("unlimited") })
        add("rate", given.rate.map(Self.text(timetable:)))
        add("give_up", given.giveUp.map { $0.map(Self.text) ?? Self.quoted("never") })
        add("credentials_file", given.credentialsFile.map { Self.quoted($0) })
        return list
    }

    private var jobsFileText: String {
        switch log.jobsFile {
        case .automatic: "null"
        case .off: Self.quoted("off")
        case .path(let path): Self.quoted(path)
        }
    }

    private static func indent(_ depth: Int) -> String { String(repeating: "  ", count: depth) }
    private static func text(_ duration: Duration) -> String { quoted(DurationText.format(duration)) }
    private static func text(size: Int64?) -> String { size.map { quoted(ByteSize.exact($0)) } ?? "null" }
    private static func text(rate: Int64?) -> String {
        rate.map { quoted(ByteSize.exact($0) + "/s") } ?? "null"
    }
    private static func text(timetable: RateTimetable) -> String {
        guard timetable.isTimed else { return text(rate: timetable.standard) }
        let rules = timetable.rules.map { quoted($0.span.text) + ": " + text(rate: $0.rate) }
        return "{" + (["\"default\": " + text(rate: timetable.standard)] + rules).joined(separator: ", ")
            + "}"
    }
    private static func octal(_ mode: UInt32) -> String {
        let digits = String(mode, radix: 8)
        return quoted(String(repeating: "0", count: max(0, 4 - digits.utf8.count)) + digits)
    }
    private static func number(_ value: Double) -> String {
        var json = JSONText()
        json.value(value)
        return String(decoding: json.bytes, as: UTF8.self)
    }
    private static func quoted(_ text: String?) -> String {
        var json = JSONText()
        json.value(text)
        return String(decoding: json.bytes, as: UTF8.self)
    }
}

extension HostRule {
    /// All of it, as a pattern would give it.
    var asOverride: HostOverride {
        var all = HostOverride()
        all.connections = connections
        all.streams = streams
        all.requestsPerSecond = .some(requestsPerSecond)
        all.rate = rate
        all.giveUp = .some(giveUp)
        all.credentialsFile = .some(nil)
        return all
    }
}
