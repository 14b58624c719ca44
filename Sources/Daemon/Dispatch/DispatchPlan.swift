// SPDX-License-Identifier: Apache-2.0

import Config
import JobModel

/// What the dispatcher takes from the config: replaced as a whole by a reload.
struct DispatchPlan: Sendable {
    var configuration: Configuration
    var workers: Int
    var outputRoot: String
    var partsDirectory: String
    /// `dld once` and `dld get`: report when nothing is left to do.
    var endsWhenIdle: Bool
    /// `dld get`: proxy variables of the environment are honoured.
    var environmentProxy: EnvironmentProxy?
    /// `dld get`: no host is waited for longer, whatever its rule says.
    var hostPatience: Duration?
    var version: String
    /// What `hosts."H".credentials_file` holds, by file; read anew at each reload.
    var credentials: [String: OriginCredential] = [:]

    var slotsPerWorker: Int { configuration.transfersPerWorker }
    /// Jobs in the window at most: every slot busy, and many times as many on their way through publish, where each step
    /// waits for the disk once, however many take it together.
    var window: Int { workers * slotsPerWorker * 8 + 1024 }
    var retry: RetryPolicy { configuration.retry }

    var uplink: UplinkMachine.Settings {
        UplinkMachine.Settings(
            downAfter: configuration.network.downAfter, giveUp: configuration.hosts.defaults.giveUp)
    }

    func retry(for options: JobOptions) -> RetryPolicy {
        var policy = retry
        if let attempts = options.maxAttempts { policy.maxAttempts = attempts }
        if let delay = options.retryDelaySeconds {
            // Its own waits a list may choose; how a host is treated touches others.
            policy.hostBaseDelay = policy.baseDelay
            policy.baseDelay = .seconds(min(max(delay, 0), 86_400))
        }
        return policy
    }

    /// How long a host may give nothing usable while jobs wait for it; nil is for ever.
    func giveUp(for host: HostKey) -> Duration? {
        [configuration.hosts.rule(for: host).giveUp, hostPatience].compactMap { $0 }.min()
    }

    func caps(for host: HostKey) -> HostMachine.Caps {
        let rule = configuration.hosts.rule(for: host)
        // libcurl fills a connection up to the most that any host may have before it opens another one: a host with fewer
        // shares one only, so that counting its transfers keeps it to its number.
        let isMost = rule.streams == configuration.hosts.mostStreams
        return HostMachine.Caps(
            connections: rule.connections, streams: rule.streams, sharedConnections: isMost ? nil : 1,
            requestsPerSecond: rule.requestsPerSecond, workers: workers, perWorker: slotsPerWorker)
    }
}

/// The proxy variables that curl knows, read once at the start of `dld get`.
struct EnvironmentProxy: Sendable, Hashable {
    var http: String?
    var https: String?
    var noProxy: [String]

    init(environment: [String: String]) {
        http = environment["http_proxy"] ?? environment["all_proxy"] ?? environment["ALL_PROXY"]
        https =
            environment["https_proxy"] ?? environment["HTTPS_PROXY"] ?? environment["all_proxy"]
            ?? environment["ALL_PROXY"]
        noProxy = (environment["no_proxy"] ?? environment["NO_PROXY"] ?? "").split(separator: ",")
            .map { entry in
                let name = entry.filter { $0 != " " }.lowercased()
                return name.hasPrefix(".") ? String(name.dropFirst()) : name
            }
    }

    func proxy(for url: DownloadURL) -> String? {
        let names = [url.host.rawValue, HostName.bare(url.host.rawValue)]
        let isExcluded = noProxy.contains { entry in
            entry == "*" || names.contains { $0 == entry || $0.hasSuffix("." + entry) }
        }
        if isExcluded { return nil }
        return url.scheme == "https" ? https : http
    }
}

/// A host key's name without its port and brackets.
enum HostName {
    /// Hosts carry their port where it is not the scheme's own.
    static func bare(_ host: String) -> String {
        if host.hasPrefix("[") { return String(host.dropFirst().prefix { $0 != "]" }) }
        return String(host.prefix { $0 != ":" })
    }
}
