// SPDX-License-Identifier: Apache-2.0

import Config
import Glibc
import JobModel
import TestKit
import Testing
import Transfer

@testable import Daemon

@Suite struct CredentialTests {
    private func rules(_ files: [String: String]) -> HostRules {
        var rules = HostRules()
        for (pattern, file) in files {
            rules.overrides[pattern, default: HostOverride()].credentialsFile = file
        }
        return rules
    }

    private func load(
        _ file: String, directory: String? = nil, user: UInt32 = geteuid()
    ) -> Result<[String: OriginCredential], CredentialFiles.Mistakes> {
        CredentialFiles(directory: directory, user: user).load(rules(["h.example": file]))
    }

    private func mistake(_ result: Result<[String: OriginCredential], CredentialFiles.Mistakes>) -> String {
        if case .failure(let mistakes) = result {
            mistakes.list.map(\.description).joined(separator: "\n")
        } else {
            ""
        }
    }

    @Test func `a file that only its owner can read is taken`() throws {
        let directory = try TempDirectory()
        let path = try directory.file("c", "joe:pw\n")
        #expect(chmod(path, 0o600) == 0)
        #expect(try load(path).get() == [path: .basic(user: "joe", password: "pw")])
    }

    @Test(arguments: [0o640, 0o604, 0o620, 0o644, 0o666])
    func `a file that others can get at is refused with its path and the way out`(mode: Int) throws {
        let directory = try TempDirectory()
        let path = try directory.file("c", "joe:pw\n")
        #expect(chmod(path, mode_t(mode)) == 0)
        let text = mistake(load(path))
        #expect(text.contains("hosts.\"h.example\".credentials_file") && text.contains("chmod 600 \(path)"))
        #expect(!text.contains("pw"))
    }

    @Test func `a link, a FIFO, a directory, a missing file and two lines are refused`() throws {
        let directory = try TempDirectory()
        let path = try directory.file("c", "joe:pw\n")
        let twice = try directory.file("two", "joe:pw\njim:pw\n")
        for file in [path, twice] { #expect(chmod(file, 0o600) == 0) }
        #expect(symlink(path, directory.sub("link")) == 0)
        #expect(mkfifo(directory.sub("fifo"), 0o600) == 0)
        #expect(mkdir(directory.sub("dir"), 0o700) == 0)
        let expected = [
            "link": "symbolic link", "fifo": "no regular file", "dir": "no regular file",
            "none": "cannot be read",
            "two": "more than one line",
        ]
        for (name, words) in expected {
            #expect(mistake(load(directory.sub(name))).contains(words), "\(name)")
        }
    }

    @Test func `a file of another user is refused, root's is not`() throws {
        let directory = try TempDirectory()
        let path = try directory.file("c", "joe:pw\n")
        #expect(chmod(path, 0o600) == 0)
        let owner = geteuid()
        let text = mistake(load(path, user: owner + 1000))
        #expect(owner == 0 ? text.isEmpty : text.contains("belongs to user \(owner)"))
    }

    @Test func `a bare name lies in CREDENTIALS_DIRECTORY, where systemd's own modes are taken`() throws {
        let directory = try TempDirectory()
        let path = try directory.file("mirror", "Authorization: Bearer x")
        #expect(chmod(path, 0o440) == 0)
        #expect(
            try load("mirror", directory: directory.path).get()
                == ["mirror": .header(HeaderField(name: "Authorization", value: "Bearer x"))])
        #expect(try load(path, directory: directory.path).get().count == 1)
        #expect(mistake(load("mirror")).contains("LoadCredential="))
        #expect(chmod(path, 0o460) == 0)
        #expect(mistake(load("mirror", directory: directory.path)).contains("mode 0460"))
    }
}

/// Which requests a credential goes along with.
@Suite struct CredentialOrderTests {
    private static let basic = OriginCredential.basic(user: "joe", password: "pw")
    private static let bearer = OriginCredential.header(HeaderField(name: "X-Api-Key", value: "k"))

    private func order(
        _ given: String = "https://h.example/a", to target: String? = nil, pattern: String = "h.example",
        _ credential: OriginCredential = basic, options: JobOptions = JobOptions(),
        _ change: (JobTask, inout Configuration) -> Void = { _, _ in }
    ) -> TransferOrder {
        let url = target ?? given
        func host(_ url: String) -> HostKey {
            let rest = url.dropFirst(url.prefix { $0 != ":" }.count + 3).prefix { $0 != "/" }
            return HostKey(rest.split(separator: "@").last.map { String($0) } ?? "")
        }
        let task = JobTask(
            job: DispatchRig.job(1, url: given, host: host(given), options: options),
            claim: .granted(known: nil), exists: .rename)
        task.attempts = 1
        var configuration = Configuration(cores: 2)
        configuration.hosts.overrides[pattern] = HostOverride()
        configuration.hosts.overrides[pattern]?.credentialsFile = "/f"
        change(task, &configuration)
        let plan = DispatchPlan(
            configuration: configuration, workers: 2, outputRoot: "/out", partsDirectory: "/out/.dld/x",
            endsWhenIdle: false, version: "9", credentials: ["/f": credential])
        return OrderBuilder(plan: plan).order(
            for: task, url: DownloadURL(text: url, scheme: String(url.prefix { $0 != ":" }), host: host(url))
        ).order
    }

    @Test func `a credential goes to its host over https, and over http where the URL says so`() {
        for url in ["https://h.example/a", "http://h.example/a"] {
            let order = order(url)
            #expect(order.username == "joe" && order.password == "pw", "\(url)")
        }
        #expect(
            order(pattern: "h.example", Self.bearer).headers == [HeaderField(name: "X-Api-Key", value: "k")])
    }

    @Test(arguments: [
        ("https://h.example:8443/a", "h.example"), ("https://h.example/a", "h.example:8443"),
        ("https://x.example/a", "h.example"), ("https://a.h.example/a", "h.example"),
        ("https://h.example/a", "*.h.example"),
    ])
    func `it goes to no other port or host`(url: String, pattern: String) {
        #expect(order(url, pattern: pattern).username == nil)
    }

    @Test func `a pattern with the port or for subdomains names its own`() {
        #expect(order("https://h.example:8443/a", pattern: "h.example:8443").username == "joe")
        #expect(order("https://a.h.example/a", pattern: "*.h.example").username == "joe")
    }

    @Test func `it does not follow a redirect to another origin, nor come back from one`() {
        #expect(order("https://x.example/a", to: "https://h.example/a").username == nil)
        #expect(order("https://h.example/a", to: "http://h.example/a").username == nil)
        #expect(order { task, _ in task.hasLeftOrigin = true }.username == nil)
        #expect(order("https://h.example/a", to: "https://h.example/b").username == "joe")
    }

    @Test func `the list's own credentials and headers win`() {
        var options = JobOptions()
        options.username = "own"
        #expect(order(options: options).username == "own")
        options = JobOptions()
        options.headers = [HeaderField(name: "authorization", value: "Bearer own")]
        #expect(order(options: options).username == nil)
        #expect(order("https://u:p@h.example/a").username == nil)
        options.headers = [HeaderField(name: "x-api-key", value: "own")]
        #expect(
            order("https://h.example/a", Self.bearer, options: options)
                .headers.map(\.value) == ["own"])
    }

    @Test func `a proxy never gets to read it`() {
        for scheme in ["http", "https"] {
            let order = order("\(scheme)://h.example/a") { _, configuration in
                configuration.network.proxy = "http://proxy.example:3128"
            }
            #expect((order.username == "joe") == (scheme == "https"))
        }
        var options = JobOptions()
        options.proxy = "http://mine.example:3128"
        #expect(order("http://h.example/a", options: options).username == nil)
    }
}
