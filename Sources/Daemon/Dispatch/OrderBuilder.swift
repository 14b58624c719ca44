// SPDX-License-Identifier: Apache-2.0

import Config
import JobModel
import Transfer

/// Turns a job and the config into the one order that a worker gets. Pure.
///
/// What touches safety or other users a list may only tighten: where it asks for more, the config holds and the job
/// is flagged. What touches its own job (timeouts, tries, speed) it may set.
struct OrderBuilder {
    let plan: DispatchPlan

    struct Built {
        var order: TransferOrder
        var flags: [JobFlag]
    }

    func order(for task: JobTask, url: DownloadURL, waitsForMultiplex: Bool) -> Built {
        let options = task.job.options
        let configuration = plan.configuration
        var flags: [JobFlag] = []
        let isOwnOrigin = task.hops == 0 || isSameOrigin(url, as: task)
        let proxy = proxy(for: url, options: options, flags: &flags)
        var checksCertificate = configuration.network.checkCertificate
        if let wish = options.checkCertificate {
            if wish { checksCertificate = true } else if checksCertificate { flags.append(.optionIgnored) }
        }
        let rule = configuration.hosts.rule(for: url.host)
        let order = TransferOrder(
            token: task.token, seq: task.seq, url: url,
            headers: isOwnOrigin ? options.headers ?? [] : [],
            username: isOwnOrigin ? options.username : nil,
            password: isOwnOrigin ? options.password : nil,
            referer: referer(options.referer, url: url, isOwnOrigin: isOwnOrigin),
            userAgent: options.userAgent ?? configuration.network.userAgent,
            proxy: proxy.address, isProxyTrusted: proxy.isTrusted,
            partName: task.partName, resume: task.didRestart ? nil : task.resume, condition: task.condition,
            preflight: preflight(for: task),
            expectedSize: options.size, maxFileSize: configuration.limits.maxFileSize,
            connectTimeout: seconds(options.connectTimeoutSeconds) ?? configuration.timeouts.connect,
            stallTimeout: seconds(options.timeoutSeconds) ?? configuration.timeouts.stall,
            lowestSpeed: options.lowestSpeed, maxRate: options.maxRate, hostRate: rule.rate,
            deadline: deadline(of: task),
            checkCertificate: checksCertificate, caFile: configuration.network.caFile,
            protocols: Set(configuration.network.protocols),
            addressPolicy: AddressPolicy(
                rule: configuration.network.privateAddresses, isRedirectFromPublic: task.isFromPublic),
            waitsForMultiplex: waitsForMultiplex, fileMode: configuration.output.fileMode,
            keepsRemoteTime: options.remoteTime ?? configuration.output.remoteTime)
        return Built(order: order, flags: flags)
    }

    /// Credentials, cookies and headers go to the origin they were given for: scheme, host and port.
    private func isSameOrigin(_ url: DownloadURL, as task: JobTask) -> Bool {
        guard case .download(let urls, _) = task.job.work else { return false }
        let given = urls[(max(1, task.attempts) - 1) % urls.count]
        return given.scheme == url.scheme && given.host == url.host
    }

    private func proxy(
        for url: DownloadURL, options: JobOptions, flags: inout [JobFlag]
    ) -> (address: String?, isTrusted: Bool) {
        if let configured = plan.configuration.network.proxy {
            // The config's proxy is policy: a list neither leaves nor replaces it.
            if let wish = options.proxy, wish != configured { flags.append(.optionIgnored) }
            return (configured, true)
        }
        if let wish = options.proxy { return (wish.isEmpty ? nil : wish, false) }
        if let found = plan.environmentProxy?.proxy(for: url) { return (found, true) }
        return (nil, false)
    }

    private func preflight(for task: JobTask) -> TransferOrder.Preflight? {
        guard !task.preflightDone, let path = task.path else { return nil }
        switch task.exists {
        case .skip, .update, .fail: return TransferOrder.Preflight(path: path)
        case .rename, .overwrite: return nil
        }
    }

    private func referer(_ wish: String?, url: DownloadURL, isOwnOrigin: Bool) -> String? {
        guard isOwnOrigin, let wish else { return nil }
        return wish == "*" ? url.text : wish
    }

    private func seconds(_ value: Double?) -> Duration? {
        value.map { .seconds(min(max($0, 0.001), 86_400 * 30)) }
    }

    private func deadline(of task: JobTask) -> MonotonicTime? {
        guard let limit = plan.configuration.timeouts.job, let first = task.firstStarted else { return nil }
        return first + limit + .nanoseconds(-min(task.waited, limit.nanosecondsClamped))
    }
}
