// SPDX-License-Identifier: Apache-2.0

import Config
import JobModel
import Testing
import Transfer

@testable import Daemon

@Suite struct OrderBuilderTests {
    private static let own = DownloadURL(
        text: "https://h.example/a", scheme: "https", host: HostKey("h.example"))
    private static let foreign = DownloadURL(
        text: "https://x.example/a", scheme: "https", host: HostKey("x.example"))

    private func plan(
        environment: [String: String]? = nil, _ change: (inout Configuration) -> Void = { _ in }
    ) -> DispatchPlan {
        var configuration = Configuration(cores: 2)
        change(&configuration)
        return DispatchPlan(
            configuration: configuration, workers: 2, outputRoot: "/out", partsDirectory: "/out/.dld/x",
            endsWhenIdle: false, environmentProxy: environment.map { EnvironmentProxy(environment: $0) },
            version: "9")
    }

    private func task(_ change: (inout JobOptions) -> Void = { _ in }) -> JobTask {
        var options = JobOptions()
        change(&options)
        let task = JobTask(
            job: DispatchRig.job(1, url: Self.own.text, options: options), claim: .granted(known: nil),
            exists: .rename)
        task.attempts = 1
        return task
    }

    private func secretive() -> JobTask {
        task {
            $0.username = "u"
            $0.password = "p"
            $0.headers = [HeaderField(name: "Cookie", value: "c")]
            $0.referer = "https://r.example/"
        }
    }

    @Test
    func `a host with fewer streams than another shares one connection, the others share all of theirs`() {
        let plan = plan {
            $0.hosts.overrides["few.example"] = HostOverride()
            $0.hosts.overrides["few.example"]?.streams = 2
        }
        let (few, usual) = (plan.caps(for: HostKey("few.example")), plan.caps(for: HostKey("h.example")))
        #expect(few.streams == 2 && few.sharedConnections == 1 && few.connections == 6)
        #expect(usual.streams == 32 && usual.sharedConnections == 6)
    }

    @Test func `credentials and headers go to the origin they were given for`() {
        let order = OrderBuilder(plan: plan()).order(for: secretive(), url: Self.own).order
        #expect(order.username == "u")
        #expect(order.password == "p")
        #expect(order.headers == [HeaderField(name: "Cookie", value: "c")])
        #expect(order.referer == "https://r.example/")
    }

    @Test(arguments: ["https://x.example/a", "http://h.example/a", "https://h.example:8443/a"])
    func `nothing of them goes to another host, scheme or port`(text: String) {
        let host = text.contains("8443") ? "h.example:8443" : text.contains("x.") ? "x.example" : "h.example"
        let url = DownloadURL(text: text, scheme: String(text.prefix { $0 != ":" }), host: HostKey(host))
        let order = OrderBuilder(plan: plan()).order(for: secretive(), url: url).order
        #expect(order.username == nil)
        #expect(order.password == nil)
        #expect(order.headers.isEmpty)
        #expect(order.referer == nil)
    }

    @Test func `a list may ask for certificates to be checked, not for them to be ignored`() {
        let lax = plan { $0.network.checkCertificate = false }
        let strict = plan { $0.network.checkCertificate = true }
        let wishes: [(DispatchPlan, Bool?, Bool, [JobFlag])] = [
            (strict, nil, true, []), (strict, true, true, []), (strict, false, true, [.optionIgnored]),
            (lax, nil, false, []), (lax, true, true, []), (lax, false, false, []),
        ]
        for (plan, wish, checks, flags) in wishes {
            let built = OrderBuilder(plan: plan).order(
                for: task { $0.checkCertificate = wish }, url: Self.own)
            #expect(built.order.checkCertificate == checks)
            #expect(built.flags == flags)
        }
    }

    @Test func `the config's proxy is neither left nor replaced by a list`() {
        let plan = plan { $0.network.proxy = "http://p.example:3128" }
        for wish in ["", "http://evil.example:1"] {
            let built = OrderBuilder(plan: plan).order(for: task { $0.proxy = wish }, url: Self.own)
            #expect(built.order.proxy == "http://p.example:3128")
            #expect(built.order.isProxyTrusted)
            #expect(built.flags == [.optionIgnored])
        }
    }

    @Test func `a list's own proxy is used where the config has none, and is not trusted`() {
        let order = OrderBuilder(plan: plan()).order(
            for: task { $0.proxy = "http://q.example:1" }, url: Self.own
        ).order
        #expect(order.proxy == "http://q.example:1")
        #expect(!order.isProxyTrusted)
    }

    @Test func `the environment's proxy counts only where it was read`() {
        let with = plan(environment: ["https_proxy": "http://e.example:1"])
        #expect(
            OrderBuilder(plan: with).order(for: task(), url: Self.own).order.proxy == "http://e.example:1")
        #expect(OrderBuilder(plan: plan()).order(for: task(), url: Self.own).order.proxy == nil)
    }

    @Test(arguments: ExistsPolicy.allCases)
    func `the path is looked at first where the policy may request nothing`(policy: ExistsPolicy) {
        let task = task()
        task.exists = policy
        let builder = OrderBuilder(plan: plan())
        let looks = policy == .skip || policy == .update || policy == .fail
        #expect((builder.order(for: task, url: Self.own).order.preflight != nil) == looks)
        task.preflightDone = true
        #expect(builder.order(for: task, url: Self.own).order.preflight == nil)
    }

    @Test func `numbers from a list are clamped`() {
        let order = OrderBuilder(plan: plan()).order(
            for: task {
                $0.timeoutSeconds = 1e300
                $0.connectTimeoutSeconds = -5
            }, url: Self.own
        ).order
        #expect(order.stallTimeout == .seconds(86_400 * 30))
        #expect(order.connectTimeout == .milliseconds(1))
    }

    @Test func `variables of the environment as curl reads them`() {
        let proxy = EnvironmentProxy(environment: [
            "http_proxy": "http://a:1", "HTTPS_PROXY": "http://b:2", "HTTP_PROXY": "http://cgi:3",
            "NO_PROXY": "h.example, .sub.example ,::1",
        ])
        func found(_ scheme: String, _ host: String) -> String? {
            proxy.proxy(for: DownloadURL(text: "\(scheme)://\(host)/", scheme: scheme, host: HostKey(host)))
        }
        #expect(found("http", "x.example") == "http://a:1")
        #expect(found("https", "x.example") == "http://b:2")
        #expect(found("http", "h.example") == nil)
        #expect(found("http", "h.example:8080") == nil)
        #expect(found("http", "a.h.example:8080") == nil)
        #expect(found("http", "nh.example") == "http://a:1")
        #expect(found("http", "sub.example") == nil)
        #expect(found("http", "www.sub.example") == nil)
        #expect(found("http", "[::1]:8080") == nil)
        let all = EnvironmentProxy(environment: ["http_proxy": "http://a:1", "no_proxy": "*"])
        #expect(all.proxy(for: Self.own) == nil)
    }
}
