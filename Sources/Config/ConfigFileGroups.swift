// SPDX-License-Identifier: Apache-2.0

internal import JobModel

// The groups with rules of their own: hosts, output, network.

extension ConfigReader {
    func readHosts(_ section: ConfigSection, _ config: inout Configuration) {
        for pattern in section.keys {
            let host = section.section(pattern)
            let given = readHost(host)
            if pattern == "default" {
                if case .some(.some) = given.credentialsFile {
                    host.mistake(
                        "credentials_file", "expected null: a secret belongs to one host, under its name")
                }
                given.apply(to: &config.hosts.defaults)
                continue
            }
            if let fault = HostRules.fault(in: pattern) {
                section.mistake(pattern, fault)
                continue
            }
            if pattern.hasSuffix(":80") || pattern.hasSuffix(":443") {
                log.warnings.append(
                    ConfigMistake(
                        path: section.path(of: pattern),
                        message: "the usual ports of http and https have no port in a host's name: "
                            + "this is for the other scheme on that port; write the name alone for both"))
            }
            config.hosts.overrides[pattern] = given
        }
    }

    private func readHost(_ section: ConfigSection) -> HostOverride {
        var given = HostOverride()
        // Every key is read, so that none is called unknown; only those that are there are set.
        let connections = section.integer("connections", 0, in: 1...1024)
        if section.isGiven("connections") { given.connections = connections }
        let streams = section.integer("streams", 0, in: 1...1000)
        if section.isGiven("streams") { given.streams = streams }
        let requests = requestsPerSecond(section)
        if section.isGiven("requests_per_second") { given.requestsPerSecond = .some(requests) }
        let rate = section.timetable("rate", .unlimited)
        if section.isGiven("rate") { given.rate = rate }
        let giveUp = section.duration("give_up", nil, in: .seconds(1) ... .seconds(365 * 86_400), or: "never")
        if section.isGiven("give_up") { given.giveUp = .some(giveUp) }
        let credentials = section.read(
            "credentials_file", String?.none,
            expected: "an absolute path without \"..\", the bare name of a systemd credential, or null"
        ) { value -> String?? in
            if value == .null { return .some(nil) }
            return (ConfigSection.path(value) ?? ConfigSection.bareName(value)).map { .some($0) }
        }
        if section.isGiven("credentials_file") { given.credentialsFile = .some(credentials) }
        section.finish()
        return given
    }

    private func requestsPerSecond(_ section: ConfigSection) -> Double? {
        section.read(
            "requests_per_second", Double?.none, expected: "a number above 0 up to 1000000, or \"unlimited\""
        ) {
            value -> Double?? in
            if ConfigSection.isUnlimited(value) { return .some(nil) }
            let number: Double
            switch value {
            case .integer(let whole): number = Double(whole)
            case .number(let given): number = given
            default: return nil
            }
            return number >= 0.001 && number <= 1_000_000 ? .some(number) : nil
        }
    }

    func readOutput(_ section: ConfigSection, _ config: inout Configuration) {
        config.output.exists = section.choice("exists", config.output.exists)
        let template = section.read(
            "layout", config.output.layout.template,
            expected: "\"flat\", \"host_path\" or a template such as \"{host}/{name}\""
        ) { if case .string(let text) = $0 { text } else { nil } }
        do {
            config.output.layout = try OutputLayout(template: template)
        } catch {
            section.mistake("layout", error.message)
        }
        config.output.fileMode = section.mode(
            "file_mode", config.output.fileMode, needs: 0o600, allows: 0o777)
        config.output.dirMode = section.mode("dir_mode", config.output.dirMode, needs: 0o700, allows: 0o3777)
        config.output.remoteTime = section.bool("remote_time", config.output.remoteTime)
        config.output.contentDisposition = section.bool(
            "content_disposition", config.output.contentDisposition)
    }

    func readNetwork(_ section: ConfigSection, _ config: inout Configuration) {
        config.network.privateAddresses = section.choice("private_addresses", config.network.privateAddresses)
        let known: Set<String> = ["http", "https"]
        config.network.protocols = section.read(
            "protocols", config.network.protocols,
            expected: "an array of \"http\" and \"https\", at least one"
        ) {
            guard case .array(let values) = $0, !values.isEmpty else { return nil }
            let names = values.compactMap { if case .string(let text) = $0 { text } else { String?.none } }
            return names.count == values.count && known.isSuperset(of: names) ? Set(names) : nil
        }
        config.network.downAfter = section.duration(
            "down_after", config.network.downAfter, in: .seconds(1) ... .seconds(3600))
        config.network.httpsDowngrade = section.bool("https_downgrade", config.network.httpsDowngrade)
        config.network.checkCertificate = section.bool("check_certificate", config.network.checkCertificate)
        config.network.caFile = section.optionalPath("ca_file", config.network.caFile)
        config.network.proxy = section.read(
            "proxy", config.network.proxy,
            expected: "null or a proxy such as \"http://proxy.example.org:3128\""
        ) { value -> String?? in
            if value == .null { return .some(nil) }
            guard case .string(let text) = value, Self.isProxy(text) else { return nil }
            return .some(text)
        }
        config.network.userAgent = section.read(
            "user_agent", config.network.userAgent,
            expected: "null or a line of at most 256 printable ASCII characters"
        ) { value -> String?? in
            if value == .null { return .some(nil) }
            guard case .string(let text) = value, text.utf8.count <= 256,
                text.utf8.allSatisfy({ 0x20...0x7E ~= $0 })
            else { return nil }
            return .some(text)
        }
    }

    /// The shape only; `curl_url` and libcurl read the rest when it is used.
    private static func isProxy(_ text: String) -> Bool {
        guard !text.isEmpty, text.utf8.count <= 2048, text.utf8.allSatisfy({ 0x21...0x7E ~= $0 }) else {
            return false
        }
        guard let colon = text.utf8.firstIndex(of: UInt8(ascii: ":")),
            text.utf8[colon...].starts(with: "://".utf8)
        else {
            return true
        }
        let schemes = ["http", "https", "socks4", "socks4a", "socks5", "socks5h"]
        return schemes.contains(text[..<colon].lowercased()) && text.utf8[colon...].count > 3
    }
}
