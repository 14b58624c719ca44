// SPDX-License-Identifier: Apache-2.0

import Config
import Curl
import JobModel
import Transfer

/// Turns a job and the config into the one order that a worker gets. Pure.
///
/// What touches safety or other users a list may only tighten: where it asks for more, the config holds and the job
/// is flagged. What touches its own job (timeouts, tries, speed) it may set.
struct OrderBuilder {
    var plan: DispatchPlan
    /// The lowest generation of a part that is begun: above that of every part that was asked to be removed.
    var firstPart: UInt32 = 0
    /// The URL of the list that the transfer belongs to, where that is not the one of the attempt.
    var given: DownloadURL?

    func order(for task: JobTask, url: DownloadURL) -> (order: TransferOrder, flags: [JobFlag]) {
        var flags: [JobFlag] = []
        var order = TransferOrder(
            token: task.token, seq: task.seq, url: url, partName: task.freshPartName(from: firstPart))
        request(&order, task: task, flags: &flags)
        limits(&order, task: task)
        policy(&order, task: task, flags: &flags)
        order.home = task.home
        order.resume = task.resume
        order.segments = segments(for: task)
        order.condition = task.condition
        order.preflight = preflight(for: task)
        order.fileMode = plan.configuration.output.fileMode
        order.keepsRemoteTime = task.job.options.remoteTime ?? plan.configuration.output.remoteTime
        return (order, flags)
    }

    /// Credentials, cookies and headers go to the origin they were given for: scheme, host and port.
    private func request(_ order: inout TransferOrder, task: JobTask, flags: inout [JobFlag]) {
        let options = task.job.options
        order.userAgent = options.userAgent ?? plan.configuration.network.userAgent ?? "dld/\(plan.version)"
        if isOwnOrigin(order.url, of: task) {
            order.headers = options.headers ?? []
            order.username = options.username
            order.password = options.password
            order.referer = options.referer
        }
        if let configured = plan.configuration.network.proxy {
            // The config's proxy is policy: a list neither leaves nor replaces it.
            if let wish = options.proxy, wish != configured { flags.append(.optionIgnored) }
            order.proxy = configured
            order.isProxyTrusted = true
        } else if let wish = options.proxy {
            order.proxy = wish
        } else if let found = plan.environmentProxy?.proxy(for: order.url) {
            order.proxy = found
            order.isProxyTrusted = true
        }
        addCredential(&order, task: task)
    }

    /// What the config keeps for exactly this origin. The list's own word goes before it; a proxy, which may be the
    /// list's choice, never gets to read it.
    private func addCredential(_ order: inout TransferOrder, task: JobTask) {
        guard let file = plan.configuration.hosts.credentialsFile(for: order.url.host),
            let credential = plan.credentials[file], isOwnOrigin(order.url, of: task),
            order.url.scheme == "https" || (order.url.scheme == "http" && (order.proxy ?? "").isEmpty)
        else { return }
        let given = Set(order.headers.map { $0.name.lowercased() })
        guard order.username == nil, !given.contains("authorization"), !hasUser(order.url) else { return }
        switch credential {
        case .basic(let user, let password):
            order.username = user
            order.password = password
        case .header(let field):
            if !given.contains(field.name.lowercased()) { order.headers.append(field) }
        }
    }

    private func hasUser(_ url: DownloadURL) -> Bool {
        (try? ParsedURL.parse(url.text).user != nil) ?? true  // unreadable: nothing is sent
    }

    private func limits(_ order: inout TransferOrder, task: JobTask) {
        let options = task.job.options
        let configuration = plan.configuration
        order.expectedSize = options.size ?? task.mirrors?.expectedSize
        order.hasDigest = options.checksum != nil || options.pieces != nil
        order.maxFileSize = configuration.limits.maxFileSize
        if task.job.errand != nil, let limit = configuration.limits.maxChecksumsSize {
            order.maxFileSize = min(limit, order.maxFileSize ?? limit)
        }
        order.connectTimeout = seconds(options.connectTimeoutSeconds) ?? configuration.timeouts.connect
        order.stallTimeout = seconds(options.timeoutSeconds) ?? configuration.timeouts.stall
        // 0 is aria2's word for "no limit", and clears a default.
        order.lowestSpeed = options.lowestSpeed.flatMap { $0 > 0 ? $0 : nil }
        order.maxRate = options.maxRate.flatMap { $0 > 0 ? $0 : nil }
        if let limit = configuration.timeouts.job, let first = task.firstStarted {
            order.deadline = first + limit
        }
        order.attemptDeadline = configuration.timeouts.attempt.map { task.attemptStarted + $0 }
    }

    /// What a list asks for within what the config allows one file; the host's cap holds either way.
    private func segments(for task: JobTask) -> SegmentRules {
        let options = task.job.options
        let configured = plan.configuration.segments
        let least = max(Self.leastSegment, options.minSplitSize ?? configured.minSize)
        let most = min(
            options.split ?? configured.perFile ?? Self.automaticSegments, configured.perFile ?? .max)
        let perServer = min(most, options.connectionsPerServer ?? .max)
        let servers = Set(task.mirrors?.hosts ?? []).count
        return SegmentRules(
            most: min(most, perServer * max(1, servers)), leastSize: least, isAsked: options.split != nil,
            perSource: perServer)
    }

    /// As many as one file gets by itself at most.
    static let automaticSegments = 16
    static let leastSegment: Int64 = 1 << 20

    private func policy(_ order: inout TransferOrder, task: JobTask, flags: inout [JobFlag]) {
        let network = plan.configuration.network
        order.checkCertificate = network.checkCertificate
        if let wish = task.job.options.checkCertificate {
            if wish {
                order.checkCertificate = true
            } else if network.checkCertificate {
                flags.append(.optionIgnored)
            }
        }
        order.caFile = network.caFile
        order.protocols = network.protocols
        order.addressPolicy = AddressPolicy(
            rule: network.privateAddresses, isRedirectFromPublic: given == nil && task.isFromPublic)
    }

    private func isOwnOrigin(_ url: DownloadURL, of task: JobTask) -> Bool {
        if let given { return RedirectPolicy.isSameOrigin(given, url) }
        guard !task.hasLeftOrigin, let given = task.givenURL else { return false }
        return RedirectPolicy.isSameOrigin(given, url)
    }

    private func preflight(for task: JobTask) -> Preflight? {
        guard !task.preflightDone, let path = task.path else { return nil }
        if task.mayBeRecovered { return Preflight(path: path) }
        switch task.exists {
        case .skip, .update, .fail: return Preflight(path: path)
        case .rename, .overwrite: return nil
        }
    }

    private func seconds(_ value: Double?) -> Duration? {
        value.map { .seconds(min(max($0, 0.001), 86_400 * 30)) }
    }
}
