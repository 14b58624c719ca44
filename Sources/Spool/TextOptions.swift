// SPDX-License-Identifier: Apache-2.0

import JobModel

/// The `name=value` lines of one entry, or the defaults of a list: the last of each name wins, headers add up.
///
/// Bounded: known names only, one value each, headers together 64 KiB. Values are checked when the block is complete,
/// so that a wrong value which a later line replaces costs nothing.
struct TextOptions: Sendable {
    enum Name: String, CaseIterable {
        case out, dir, checksum, checksums, referer, pause, gid, id, exists, priority, timeout, split,
            `continue`
        case checksumsDigest = "checksums-digest"
        case maxConnections = "max-connection-per-server"
        case minSplitSize = "min-split-size"
        case userAgent = "user-agent"
        case maxDownloadLimit = "max-download-limit"
        case httpUser = "http-user"
        case httpPassword = "http-passwd"
        case allProxy = "all-proxy"
        case allowOverwrite = "allow-overwrite"
        case autoFileRenaming = "auto-file-renaming"
        case conditionalGet = "conditional-get"
        case maxTries = "max-tries"
        case retryWait = "retry-wait"
        case connectTimeout = "connect-timeout"
        case lowestSpeedLimit = "lowest-speed-limit"
        case remoteTime = "remote-time"
        case checkCertificate = "check-certificate"
    }
    struct Value: Sendable {
        var text: String
        var line: Int
    }
    private(set) var values: [Name: Value] = [:]
    private var headers: [Value] = []
    private var headerBytes = 0
    /// The first line that could not be kept, with the reason.
    private var mistake: JobError?

    /// Nothing was given, right or wrong.
    var isEmpty: Bool { values.isEmpty && headers.isEmpty && mistake == nil }

    /// Our line-numbered words for a value that is no good.
    static func error(_ line: Int, _ name: String, _ message: String) -> JobError {
        JobError(.badOption, "line \(line): \(name): \(message)")
    }

    mutating func set(_ name: Name, _ text: String, line: Int) {
        values[name] = Value(text: text, line: line)
    }
    mutating func remove(_ name: Name) -> Value? { values.removeValue(forKey: name) }

    mutating func addHeader(_ text: String, line: Int) {
        headerBytes += text.utf8.count
        if headerBytes > OptionValues.headersLimit {
            fail(Self.error(line, "header", "the headers of one entry are over 64 KiB"))
        } else {
            headers.append(Value(text: text, line: line))
        }
    }

    /// Costs the entry; the first mistake is told.
    mutating func fail(_ error: JobError) {
        if mistake == nil { mistake = error }
    }

    /// What the block asks for. `defaults` is the list's own block: words that act together are read together.
    func resolved(over defaults: TextOptions?) throws(JobError) -> (options: JobOptions, gid: JobID?) {
        if let mistake { throw mistake }
        var options = JobOptions()
        options.out = try text(.out)
        options.dir = try text(.dir)
        options.checksum = try read(.checksum, OptionValues.checksum)
        options.checksums = try read(.checksums, OptionValues.checksums)
        options.checksumsDigest = try read(.checksumsDigest, OptionValues.checksum)
        options.referer = try read(.referer, OptionValues.headText)
        options.userAgent = try read(.userAgent, OptionValues.headText)
        options.username = try read(.httpUser, OptionValues.headText)
        options.password = try read(.httpPassword, OptionValues.headText)
        options.proxy = try read(.allProxy, OptionValues.proxy)
        options.maxRate = try read(.maxDownloadLimit, OptionValues.ariaSize)
        options.lowestSpeed = try read(.lowestSpeedLimit, OptionValues.ariaSize)
        options.remoteTime = try read(.remoteTime, OptionValues.boolean)
        options.checkCertificate = try read(.checkCertificate, OptionValues.boolean)
        options.pause = try read(.pause, OptionValues.boolean)
        options.id = try read(.id, OptionValues.userID)
        try readNumbers(into: &options)
        options.exists = try exists(over: defaults)
        if !headers.isEmpty {
            var fields: [HeaderField] = []
            for header in headers {
                switch HeaderRule.parse(header.text) {
                case .success(let field): fields.append(field)
                case .failure(let error): throw Self.error(header.line, "header", error.message)
                }
            }
            options.headers = fields
        }
        _ = try read(.continue, OptionValues.boolean)
        return (options, try read(.gid, OptionValues.gid))
    }

    private func readNumbers(into options: inout JobOptions) throws(JobError) {
        options.priority = try read(.priority) { (text) throws(OptionValues.Mistake) in
            Int(try OptionValues.integer(text, OptionValues.priorities))
        }
        options.maxAttempts = try read(.maxTries) { (text) throws(OptionValues.Mistake) in
            Int(try OptionValues.integer(text, OptionValues.attempts))
        }
        options.split = try read(.split, Self.connections)
        options.connectionsPerServer = try read(.maxConnections, Self.connections)
        options.minSplitSize = try read(.minSplitSize, OptionValues.ariaSize).map {
            max($0, OptionValues.leastSplit)
        }
        options.retryDelaySeconds = try read(.retryWait) { (text) throws(OptionValues.Mistake) in
            try OptionValues.seconds(text, OptionValues.delays)
        }
        options.timeoutSeconds = try read(.timeout) { (text) throws(OptionValues.Mistake) in
            try OptionValues.seconds(text, OptionValues.limits)
        }
        options.connectTimeoutSeconds = try read(.connectTimeout) { (text) throws(OptionValues.Mistake) in
            try OptionValues.seconds(text, OptionValues.limits)
        }
    }

    private static func connections(_ text: String) throws(OptionValues.Mistake) -> Int {
        Int(try OptionValues.integer(text, OptionValues.connections))
    }

    /// `exists=` before aria2's three words; any word given here is read together with the list's others.
    private func exists(over defaults: TextOptions?) throws(JobError) -> ExistsPolicy? {
        let conditional = try read(.conditionalGet, OptionValues.boolean)
        let overwrite = try read(.allowOverwrite, OptionValues.boolean)
        let renaming = try read(.autoFileRenaming, OptionValues.boolean)
        if let policy = try read(.exists, OptionValues.exists) { return policy }
        guard conditional != nil || overwrite != nil || renaming != nil else { return nil }
        // The list's own `exists=` gives way to an entry's words, but not to the words beside it.
        if try flag(conditional, .conditionalGet, defaults) == true { return .update }
        if try flag(overwrite, .allowOverwrite, defaults) == true { return .overwrite }
        if try flag(renaming, .autoFileRenaming, defaults) == false { return .fail }
        // `allow-overwrite=false` alone says what aria2 does anyway; it need not outdo the config's choice.
        return renaming == true || defaults?.asksForExists == true ? .rename : nil
    }

    /// Own value, else the list's.
    private func flag(_ own: Bool?, _ name: Name, _ defaults: TextOptions?) throws(JobError) -> Bool? {
        if let own { return own }
        return try defaults?.read(name, OptionValues.boolean)
    }

    private var asksForExists: Bool {
        [Name.exists, .conditionalGet, .allowOverwrite, .autoFileRenaming].contains { values[$0] != nil }
    }

    /// An empty value means "not set", as in aria2.
    private func text(_ name: Name) throws(JobError) -> String? {
        guard let value = values[name], !value.text.isEmpty else { return nil }
        return value.text
    }

    private func read<Result>(
        _ name: Name, _ reader: (String) throws(OptionValues.Mistake) -> Result
    ) throws(JobError) -> Result? {
        guard let value = values[name] else { return nil }
        do { return try reader(value.text) } catch {
            throw Self.error(value.line, name.rawValue, error.message)
        }
    }
}
