// SPDX-License-Identifier: Apache-2.0

internal import JobModel

/// Reads the text of a config file: JSON with `//` comments and trailing commas.
public enum ConfigFile {
    /// Larger texts are refused: nobody's config, and the reader holds it whole.
    public static let maxBytes = 1 << 20

    /// The configuration, or every mistake in it at once. What the file does not name is the default.
    ///
    /// - Parameters:
    ///   - file: its name, for messages only; nothing is opened here.
    ///   - cores: of this machine: the default of `workers` and `sum.processes`.
    public static func read(text: String, file: String, cores: Int) -> ConfigResult {
        read(bytes: Array(text.utf8), file: file, cores: cores)
    }

    /// The same from bytes as they lie on disk.
    public static func read(bytes: [UInt8], file: String, cores: Int) -> ConfigResult {
        func failure(_ message: String) -> ConfigResult {
            .failure(ConfigMistakes(file: file, mistakes: [ConfigMistake(path: "", message: message)]))
        }
        guard bytes.count <= maxBytes else { return failure("over 1 MiB; expected a config") }
        guard String(validating: bytes, as: UTF8.self) != nil else { return failure("not UTF-8 text") }
        let log = MistakeLog()
        switch JSONValue.parse(bytes) {
        case .failure(let fault):
            return failure("not valid JSON: \(SyntaxFault.find(in: bytes) ?? Masking.text(fault.message))")
        case .success(.object(let fields)):
            for path in DuplicateKeys.find(in: bytes) {
                log.mistakes.append(ConfigMistake(path: path, message: "given twice in the same object"))
            }
            let configuration = ConfigReader(cores: cores, log: log).read(fields)
            guard log.mistakes.isEmpty else {
                return .failure(ConfigMistakes(file: file, mistakes: log.mistakes))
            }
            return .success(ConfigReading(configuration: configuration, warnings: log.warnings))
        case .success(let other): return failure("expected an object {...}; found \(other.kind)")
        }
    }
}

/// One pass over the tree, group by group.
struct ConfigReader {
    let cores: Int
    let log: MistakeLog

    func read(_ fields: [String: JSONValue]) -> Configuration {
        var config = Configuration(cores: cores)
        let elsewhere = Dictionary(
            config.entries(masked: true).map { ($0.path[$0.path.count - 1], $0.pathText) },
            uniquingKeysWith: { first, _ in first })
        let top = ConfigSection(path: "", fields: fields, log: log)
        config.spoolDir = top.path("spool_dir", config.spoolDir)
        config.outputDir = top.path("output_dir", config.outputDir)
        config.stateDir = top.path("state_dir", config.stateDir)
        config.workers = top.count("workers", perCore: config.workers, in: 1...256)
        config.transfersPerWorker = top.integer(
            "transfers_per_worker", config.transfersPerWorker, in: 1...4096)
        config.durability = top.choice("durability", config.durability)
        let groups: [(String, (ConfigSection, inout Configuration) -> Void)] = [
            ("control", readControl), ("spool", readSpool), ("log", readLog), ("hosts", readHosts),
            ("retry", readRetry), ("timeouts", readTimeouts), ("limits", readLimits),
            ("segments", readSegments),
            ("retention", readRetention), ("digest", readDigest), ("verify", readVerify),
            ("output", readOutput),
            ("network", readNetwork),
            ("sum", readSum),
        ]
        for (name, read) in groups {
            let section = top.section(name)
            read(section, &config)
            section.finish(elsewhere: elsewhere)
        }
        top.finish(elsewhere: elsewhere)
        checkFolders(config, top)
        return config
    }

    private func readControl(_ section: ConfigSection, _ config: inout Configuration) {
        let socket = section.path("socket", config.controlSocket)
        if socket.utf8.count > 107 {
            section.mistake(
                "socket",
                "expected at most 107 bytes, all that a Unix socket's name holds; found \(socket.utf8.count)")
        }
        config.controlSocket = socket
    }

    private func readSpool(_ section: ConfigSection, _ config: inout Configuration) {
        config.spool.quiet = section.duration("quiet", config.spool.quiet, in: .zero ... .seconds(3600))
        config.spool.rescan = section.duration(
            "rescan", config.spool.rescan, in: .seconds(1) ... .seconds(86_400))
    }

    private func readLog(_ section: ConfigSection, _ config: inout Configuration) {
        config.log.level = section.choice("level", config.log.level)
        config.log.format = section.choice("format", config.log.format)
        let file = section.read("jobs_file", String?.none, expected: "an absolute path, null or \"off\"") {
            value -> String?? in
            switch value {
            case .null: .some(nil)
            case .string(let text) where text == "off" || text.utf8.first == UInt8(ascii: "/"): .some(text)
            default: nil
            }
        }
        config.log.jobsFile = file.map { $0 == "off" ? .off : .path($0) } ?? .automatic
    }

    private func readRetry(_ section: ConfigSection, _ config: inout Configuration) {
        config.retry.maxAttempts = section.integer(
            "max_attempts", config.retry.maxAttempts, in: 0...1_000_000)
        config.retry.baseDelay = section.duration(
            "base_delay", config.retry.baseDelay, in: .milliseconds(1) ... .seconds(3600))
        config.retry.maxDelay = section.duration(
            "max_delay", config.retry.maxDelay, in: .milliseconds(1) ... .seconds(86_400))
        if config.retry.maxDelay < config.retry.baseDelay {
            let base = DurationText.format(config.retry.baseDelay)
            section.mistake("max_delay", "expected at least retry.base_delay, which is \(base)")
        }
    }

    private func readTimeouts(_ section: ConfigSection, _ config: inout Configuration) {
        let longest: Duration = .seconds(86_400)
        config.timeouts.connect = section.duration(
            "connect", config.timeouts.connect, in: .milliseconds(100)...longest)
        config.timeouts.stall = section.duration("stall", config.timeouts.stall, in: .seconds(1)...longest)
        config.timeouts.attempt = section.duration(
            "attempt", config.timeouts.attempt, in: .seconds(1) ... .seconds(30 * 86_400), or: "none")
        config.timeouts.job = section.duration(
            "job", config.timeouts.job, in: .seconds(1) ... .seconds(365 * 86_400), or: "none")
        config.timeouts.drain = section.duration("drain", config.timeouts.drain, in: .zero ... .seconds(3600))
    }

    private func readLimits(_ section: ConfigSection, _ config: inout Configuration) {
        config.limits.maxFileSize = section.limit("max_file_size", config.limits.maxFileSize)
        config.limits.maxListSize = section.limit("max_list_size", config.limits.maxListSize)
        config.limits.maxChecksumsSize = section.limit("max_checksums_size", config.limits.maxChecksumsSize)
        config.limits.maxRedirects = section.integer("max_redirects", config.limits.maxRedirects, in: 0...100)
        config.limits.minFree = section.size("min_free", config.limits.minFree)
        config.limits.totalRate = section.timetable("total_rate", config.limits.totalRate)
    }

    private func readSegments(_ section: ConfigSection, _ config: inout Configuration) {
        config.segments.perFile = section.count("per_file", orAutomatic: 1...64)
        config.segments.minSize = section.size("min_size", config.segments.minSize, in: (1 << 20)...Int64.max)
        config.segments.checkpointBytes = section.size(
            "checkpoint_bytes", config.segments.checkpointBytes, in: (64 << 10)...Int64.max)
        config.segments.checkpointInterval = section.duration(
            "checkpoint_interval", config.segments.checkpointInterval,
            in: .milliseconds(250) ... .seconds(86_400))
    }

    private func readRetention(_ section: ConfigSection, _ config: inout Configuration) {
        let longest: Duration = .seconds(100 * 365 * 86_400)
        config.retention.lists = section.duration(
            "lists", config.retention.lists, in: .zero...longest, or: "keep")
        config.retention.parts = section.duration("parts", config.retention.parts, in: .zero...longest)
    }

    private func readDigest(_ section: ConfigSection, _ config: inout Configuration) {
        let names = DigestAlgorithm.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: ", ")
        config.digest.always = section.read(
            "always", config.digest.always, expected: "null or one of \(names)"
        ) {
            value -> DigestAlgorithm?? in
            switch value {
            case .null: .some(nil)
            case .string(let text): DigestAlgorithm(rawValue: text).map { .some($0) }
            default: nil
            }
        }
        config.digest.write = section.choice("write", config.digest.write)
        config.digest.keepsBad = section.bool("keep_bad", config.digest.keepsBad)
    }

    private func readVerify(_ section: ConfigSection, _ config: inout Configuration) {
        config.verify.rate = section.timetable("rate", config.verify.rate)
    }

    private func readSum(_ section: ConfigSection, _ config: inout Configuration) {
        config.sum.processes = section.count("processes", perCore: config.sum.processes, in: 1...256)
        config.sum.maxTerms = section.read(
            "max_terms", config.sum.maxTerms, expected: "a whole number from 1 to 18446744073709551615"
        ) {
            switch $0 {
            case .integer(let number): number > 0 ? UInt64(number) : nil
            case .unsigned(let number): number
            default: nil
            }
        }
    }

    /// A list dropped into the output, or a file published into the spool, would be taken for the other.
    private func checkFolders(_ config: Configuration, _ top: ConfigSection) {
        let folders = [
            ("spool_dir", config.spoolDir), ("output_dir", config.outputDir), ("state_dir", config.stateDir),
        ]
        for (key, folder) in folders where folder == "/" {
            top.mistake(key, "expected a directory of its own, not /")
            return
        }
        for (index, one) in folders.enumerated() {
            for other in folders[(index + 1)...] {
                if one.1 == other.1 {
                    top.mistake(other.0, "expected another directory than \(one.0)")
                } else if isInside(other.1, one.1) {
                    top.mistake(other.0, "expected a directory outside \(one.0)")
                } else if isInside(one.1, other.1) {
                    top.mistake(one.0, "expected a directory outside \(other.0)")
                }
            }
        }
    }

    private func isInside(_ inner: String, _ outer: String) -> Bool {
        inner.utf8.starts(with: (outer + "/").utf8)
    }
}
