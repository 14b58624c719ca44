// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

@testable import Spool

@Suite struct EntryBuilderTests {
    private func builder(_ rules: ListRules = ListRules()) throws -> EntryBuilder {
        EntryBuilder(
            rules: rules, layout: try OutputLayout(template: "flat"), outputRoot: "/srv/dld",
            cipher: JobIDCipher(key: 7))
    }
    private func kind(
        _ urls: [String], _ change: (inout JobOptions) -> Void = { _ in }, rules: ListRules = ListRules()
    ) throws -> AdmittedEntry.Kind {
        var entry = ListEntry(line: 3, body: .urls(urls))
        change(&entry.options)
        return try builder(rules).admitted(entry, list: ListID(1), seq: JobSeq(9), defaults: JobOptions())
            .kind
    }
    private func fault(_ url: String) throws -> JobError? {
        if case .bad(let error) = try kind([url]) { error } else { nil }
    }

    @Test func `spaces and other scripts are encoded, hosts lowered`() throws {
        guard case .download(let urls, let path) = try kind(["HTTP://EXAMPLE.org:80/a b/é?x=1#f"]) else {
            Issue.record("not taken")
            return
        }
        #expect(
            urls[0].text == "http://example.org/a%20b/%c3%a9?x=1"
                || urls[0].text == "http://example.org/a%20b/%C3%A9?x=1")
        #expect(urls[0].host == HostKey("example.org") && path.description == "é")
        guard case .download(let idn, _) = try kind(["http://bücher.example/x"]) else {
            Issue.record("not taken")
            return
        }
        #expect(idn[0].host == HostKey("xn--bcher-kva.example"))
    }

    // L32
    @Test func `URLs that are none are bad lines with a reason`() throws {
        for (url, expected) in [
            ("example.com/a", ErrorCode.badURL), ("example.com:8080/a", .badURL), ("http://[::1", .badURL),
            ("http://a:99999/", .badURL), ("file:/etc/passwd", .badURL), ("file:///etc/passwd", .badURL),
            ("ftp://a/b", .badURL), ("magnet:?xt=1", .badURL), ("http://a/1 http://b/1", .badLine),
            ("http://a/\u{c}x", .badURL), ("http://a/\rx", .badURL), ("//a/b", .badURL), ("http://", .badURL),
        ] {
            let error = try fault(url)
            #expect(error?.code == expected, "\(url): \(String(describing: error))")
            #expect(error?.message.hasPrefix("line 3: ") == true)
        }
        #expect(try fault("example.com/a")?.message.contains("https://") == true)
        #expect(try fault("http://a/1 http://b/1")?.message.contains("TAB") == true)
        #expect(try fault("http://a/?u=http://b") == nil)
    }

    // L31
    @Test func `a password is taken and never shown`() throws {
        guard case .download(let urls, _) = try kind(["http://u:hush@a/1"]) else {
            Issue.record("not taken")
            return
        }
        #expect(urls[0].text == "http://u:hush@a/1")
        for bad in ["http://u:hush@[::1/x", "ftp://u:hush@a/", "u:hush@a/b", "http://u:hush@a:99999/"] {
            #expect(try fault(bad)?.message.contains("hush") == false, "\(bad)")
        }
    }

    @Test func `one bad mirror costs the entry`() throws {
        guard case .bad(let error) = try kind(["http://a/1", "b/1"]) else {
            Issue.record("taken")
            return
        }
        #expect(error.code == .badURL)
    }

    @Test func `paths outside the output and files over the limit are bad lines`() throws {
        for out in ["../x", "/etc/passwd"] {
            guard case .bad(let error) = try kind(["http://a/1"], { $0.out = out }) else {
                Issue.record("taken")
                continue
            }
            #expect(error.code == .outsideOutput)
        }
        guard
            case .bad(let error) = try kind(
                ["http://a/1"], { $0.size = 11 }, rules: ListRules(maxFileSize: 10))
        else {
            Issue.record("taken")
            return
        }
        #expect(error.code == .tooLarge)
    }

    @Test func `defaults count for path, priority and pause, and stay out of the entry`() throws {
        var defaults = JobOptions()
        (defaults.dir, defaults.priority, defaults.pause) = ("d", 4, true)
        let entry = try builder().admitted(
            ListEntry(line: 1, body: .urls(["http://a/x"])), list: ListID(1), seq: JobSeq(1),
            defaults: defaults)
        #expect(entry.priority == 4 && entry.startsPaused && entry.options == JobOptions())
        guard case .download(_, let path) = entry.kind else { return }
        #expect(path.description == "d/x")
    }
}

@Suite struct ListNameTests {
    @Test func `a name says what a file is`() {
        #expect(ListName("a.txt").verdict == .list(.text, isGzip: false))
        #expect(ListName("noext").verdict == .list(.text, isGzip: false))
        #expect(ListName("A.JSONL.GZ").verdict == .list(.jsonLines, isGzip: true))
        #expect(ListName("a.meta4").verdict == .list(.metalink, isGzip: false))
        #expect(ListName("a.Meta4.gz").verdict == .list(.metalink, isGzip: true))
        #expect(ListName("urls.gz").verdict == .list(.text, isGzip: true))
        for name in [".x", "a~", "a.tmp", "a.part"] { #expect(ListName(name).verdict == .ignored) }
        for name in [
            "a.csv", "a.JSON", "a.torrent", "a.csv.gz", "x.results.jsonl", "a.zip", "a.xml",
            "a.html",
        ] {
            guard case .refused(let reason) = ListName(name).verdict else {
                Issue.record("\(name) is taken")
                continue
            }
            #expect(reason.contains("jsonl"))
        }
        #expect(ListName("a.failed.jsonl").verdict == .list(.jsonLines, isGzip: false))
    }

    @Test func `the id goes before the extension and leaves room`() {
        #expect(ListName("hourly.txt").numbered(4711) == "hourly.4711.txt")
        #expect(ListName("hourly.txt.gz").numbered(1) == "hourly.1.txt.gz")
        #expect(ListName("noext").numbered(2) == "noext.2")
        #expect(ListName("hourly.4711.txt").failed == "hourly.4711.failed.jsonl")
        let long = ListName(String(repeating: "ä", count: 125) + ".txt")
        #expect(!long.fits && ListName(long.numbered(12)).fits)
    }
}
