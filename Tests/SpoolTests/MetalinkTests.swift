// SPDX-License-Identifier: Apache-2.0

import LinuxKit
import SystemPackage
import TestKit
import Testing

@testable import JobModel
@testable import Spool

private let sha1 = "da39a3ee5e6b4b0d3255bfef95601890afd80709"
private let sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
private let head =
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<metalink xmlns=\"urn:ietf:params:xml:ns:metalink\">\n"

/// One file of a document that is good but for it.
private func only(_ inside: String, name: String = "a") throws -> ListEntry {
    try #require(try MetalinkTests.read(head + "<file name=\"\(name)\">\(inside)</file></metalink>").first)
}
private func fault(_ entry: ListEntry) -> JobError? {
    if case .bad(let error) = entry.body { error } else { nil }
}
private let url = "<url>http://a/1</url>"

@Suite struct MetalinkTests {
    static func read(_ text: String, onRemark: (ListRemark) -> Void = { _ in }) throws -> [ListEntry] {
        try read(Array(text.utf8), onRemark: onRemark)
    }
    static func read(_ bytes: [UInt8], onRemark: (ListRemark) -> Void = { _ in }) throws -> [ListEntry] {
        let folder = try TempDirectory()
        return try readAll(folder.file("x.meta4", bytes), format: .metalink) {
            $0.remarks.forEach(onRemark)
        }
    }

    @Test func `each file is an entry: its name, size, strongest digest and URLs by priority`() throws {
        let text =
            head + """
                <generator>x</generator><published>2026-01-01T00:00:00Z</published>
                <file name="isos/a &amp; b.iso">
                  <identity>A</identity><language>en</language><os>Linux</os><version>1</version>
                  <size> 1000000 </size>
                  <hash type="md5">d41d8cd98f00b204e9800998ecf8427e</hash>
                  <hash type="sha-256">\(sha256.uppercased())</hash>
                  <hash type="SHA1">\(sha1)</hash>
                  <url location="de">http://last/x</url>
                  <url priority="2">
                    https://second/x?a=1&amp;b=2
                  </url>
                  <url priority="1"><![CDATA[http://first/x?c&d]]></url>
                  <url priority="2">http://third/x</url>
                </file>
                <file name="b"><url>http://a/b</url></file>
                </metalink>
                """
        let entries = try Self.read(text)
        #expect(entries.map(\.line) == [4, 17])
        let first = try #require(entries.first)
        #expect(
            first.body
                == .urls([
                    "http://first/x?c&d", "https://second/x?a=1&b=2", "http://third/x", "http://last/x",
                ]))
        #expect(first.options.out == "isos/a & b.iso" && first.options.size == 1_000_000)
        #expect(first.options.checksum == Checksum("sha256:\(sha256)") && first.pieces == nil)
        #expect(entries[1].options.checksum == nil && entries[1].body == .urls(["http://a/b"]))
    }

    @Test func `a prefix, a byte order mark, another encoding and foreign elements change nothing`() throws {
        let prefixed = """
            <m:metalink xmlns:m="urn:ietf:params:xml:ns:metalink" xmlns:o="urn:other">
            <o:file name="no"><m:url>http://no/</m:url></o:file>
            <m:file name="a" o:name="b"><o:url>http://no/</o:url><unknown><m:url>http://no/</m:url></unknown>
            <m:extra><m:hash type="sha-1">zz</m:hash></m:extra><m:url>http://a/1<o:b>2</o:b></m:url></m:file>
            </m:metalink>
            """
        for bytes in [Array(prefixed.utf8), [0xEF, 0xBB, 0xBF] + Array(prefixed.utf8)] {
            let entries = try Self.read(bytes)
            #expect(entries.map(\.body) == [.urls(["http://a/1"])])
            #expect(entries.map(\.options.out) == ["a"])
        }
        let latin =
            Array(
                "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><metalink xmlns=\"urn:ietf:params:xml:ns:metalink\"><file name=\""
                    .utf8) + [0xE9] + Array("\"><url>http://a/1</url></file></metalink>".utf8)
        #expect(try Self.read(latin).first?.options.out == "é")
    }

    @Test func `digests of pieces come with their length, the strongest of them, and must make the file`()
        throws
    {
        let pieces =
            "<pieces type=\"md5\" length=\"2\"><hash>d41d8cd98f00b204e9800998ecf8427e</hash></pieces>"
            + "<pieces type=\"sha-1\" length=\"4\"><hash>\(sha1)</hash>\n<hash> \(sha1) </hash></pieces>"
        let entry = try only("<size>7</size>" + pieces + url)
        let found = try #require(entry.pieces)
        #expect(found.layout == PieceLayout(algorithm: .sha1, length: 4, count: 2))
        #expect(entry.options.pieces == found.layout && found[1] == Checksum("sha1:\(sha1)"))
        #expect(entry.options.checksum == nil)
        for size in [4, 9] {
            let bad = try #require(fault(try only("<size>\(size)</size>" + pieces + url)))
            #expect(bad.code == .badOption && bad.message.contains("2 pieces of 4 bytes do not make"))
        }
        let single = try only("<pieces type=\"sha-1\" length=\"4\"><hash>\(sha1)</hash></pieces>" + url)
        #expect(single.pieces == nil && single.options.checksum == Checksum("sha1:\(sha1)"))
    }

    @Test(arguments: [
        ("", ErrorCode.badURL, "no <url> in it"),
        ("<metaurl mediatype=\"torrent\">http://a/t</metaurl>", .badURL, "no <url> in it"),
        (
            "<url>ftp://a/1</url><url>magnet:x</url>", .badURL,
            "no URL in it that can be fetched; the first: ftp:"
        ),
        ("<url>nonsense</url>", .badURL, "no scheme"),
        ("<size>-1</size>" + url, .badOption, "<size>: expected a whole number"),
        ("<hash type=\"sha-256\">\(sha1)</hash>" + url, .badOption, "expected 64 hex digits"),
        (
            "<pieces type=\"sha-1\" length=\"0\"><hash>\(sha1)</hash></pieces>" + url, .badOption,
            "length of <pieces>"
        ),
        (
            "<pieces type=\"sha-1\" length=\"4\"><hash>x</hash></pieces>" + url, .badOption,
            "<hash> of a piece"
        ),
        ("<pieces type=\"sha-1\" length=\"4\"></pieces>" + url, .badOption, "<pieces> without a <hash>"),
    ]) func `what is wrong in a file costs that file, with its line`(
        _ inside: String, _ code: ErrorCode, _ words: String
    ) throws {
        let text = head + "<file name=\"a\">\(inside)</file>\n<file name=\"b\">\(url)</file></metalink>"
        let entries = try Self.read(text)
        let error = try #require(entries.first.flatMap { fault($0) })
        #expect(
            error.code == code && error.message.hasPrefix("line 3: ") && error.message.contains(words),
            "\(error)")
        #expect(entries.last?.body == .urls(["http://a/1"]) && entries.last?.line == 4)
    }

    @Test func `a file without a name is a bad line, and unusable mirrors go where another is left`() throws {
        #expect(fault(try only(url, name: ""))?.code == .badLine)
        #expect(try only("<url priority=\"1\">ftp://a/1</url>" + url).body == .urls(["http://a/1"]))
        let unused = try only("<hash type=\"whirlpool\">zz</hash><pieces type=\"tiger\" length=\"x\"/>" + url)
        #expect(fault(unused) == nil && unused.options.checksum == nil)
    }

    @Test func `metaurl and digests that nobody computes are told, once where they are many`() throws {
        let file = "<file name=\"a\"><metaurl mediatype=\"torrent\">t</metaurl>\(url)</file>\n"
        var told: [ListRemark] = []
        _ = try Self.read(head + file + file + "</metalink>") { told.append($0) }
        #expect(told.map(\.line) == [3] && told.first?.message.contains("torrent") ?? false)
        told = []
        _ = try Self.read(head + "<file name=\"a\"><hash type=\"tiger\">x</hash>\(url)</file></metalink>") {
            told.append($0)
        }
        #expect(told.map(\.message) == ["<hash type=\"tiger\"> is not used"])
    }

    @Test(arguments: [
        (head + "<file name=\"a\">\(url)</fil></metalink>", "x.meta4:3:", "mismatch"),
        (
            head + "<file name=\"a\">\(url)</file>\n", "x.meta4:3:",
            "it ends here; expected </metalink>, which line 2 began"
        ),
        (head + "<file name=\"a\"><url>http://a/?b&c</url></file></metalink>", "x.meta4:3:", ""),
        ("http://a/1\n", "x.meta4:1:1: ", "no XML; expected <"),
        ("<a/>", "x.meta4:1:1: ", "expected <metalink xmlns=\"urn:ietf:params:xml:ns:metalink\">, not <a>"),
        ("<metalink><file name=\"a\"/></metalink>", "x.meta4:1:1: ", "it has no namespace"),
        (
            "<metalink version=\"3.0\" xmlns=\"http://www.metalinker.org/\"/>", "x.meta4:1:1: ",
            "its namespace is \"http://www.metalinker.org/\""
        ),
        (
            head + String(repeating: "<x>", count: 40), "x.meta4:3:",
            "elements in elements, more than 32 deep"
        ),
        (
            "<!DOCTYPE metalink [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]>\n<metalink>&b;</metalink>",
            "x.meta4:1:", "DOCTYPE"
        ),
        ("<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>", "x.meta4:1:", "DOCTYPE"),
        (head + "<file name=\"&xxe;\"/></metalink>", "x.meta4:3:", "xxe"),
        ("", "x.meta4:", "there is no element in it"),
    ]) func `what is no Metalink is refused with its place and what was expected`(
        _ text: String, _ place: String, _ words: String
    ) throws {
        let refusal = #expect(throws: ListRefusal.self) {
            try ListProbe(text).prove()
        }
        let reason = refusal?.reason ?? ""
        #expect(reason.hasPrefix(place) && reason.contains(words), "\(reason)")
    }

    @Test func `a hundred thousand files come in bounded slices, and a restart goes on at the next`() throws {
        let folder = try TempDirectory()
        var text = head
        for index in 0..<100_000 { text += "<file name=\"f\(index)\"><url>http://a/\(index)</url></file>\n" }
        let path = try folder.file("x.meta4", Array((text + "</metalink>\n").utf8))
        var largest = 0
        var seen = 0
        for entry in try readAll(
            path, format: .metalink, onSlice: { largest = max(largest, $0.entries.count) })
        {
            #expect(entry.options.out == "f\(seen)" && entry.line == seen + 3)
            seen += 1
        }
        #expect(seen == 100_000 && largest < 1000)
        let reader = try ListProbe.reader(path, from: ListPosition(offset: 7, line: 9, entries: 70_001))
        var next: ListEntry?
        while next == nil { next = try reader.next().entries.first }
        #expect(next?.options.out == "f70001")
    }

    @Test func `a text of many elements without an end is refused, not held`() throws {
        let long = String(repeating: "x", count: 200_000)
        let bad = try only("<url>http://a/\(long)</url>" + url)
        #expect(fault(bad)?.message.contains("longer than 64 KiB") ?? false)
        let many = (0..<1500).map { "<url>http://a/\($0)</url>" }.joined()
        guard case .urls(let urls) = try only(many).body else {
            Issue.record("no entry")
            return
        }
        #expect(urls.count == 1000)
    }

    @Test func `an entry with pieces goes through JSON Lines and back`() throws {
        let bytes = (0..<40).map { UInt8($0) }
        let line = """
            {"url":"http://a/1","size":7,"pieces":{"type":"SHA1","length":4,"hashes":"\(base64(bytes))"}}
            """
        let folder = try TempDirectory()
        let entry = try #require(
            try readAll(folder.file("a.jsonl", Array(line.utf8)), format: .jsonLines).first)
        #expect(entry.pieces?.bytes == bytes && entry.options.pieces?.count == 2)
        var record = ResultRecord(
            list: ListID(1), line: 1, seq: JobSeq(1), job: JobID("0000000000000001"), userID: nil,
            kind: .download(urls: ["http://a/1"], host: HostKey("a")),
            options: SharedOptions(entry.options), state: .failed, outcome: nil)
        record.pieces = entry.pieces
        let retry = try #require(record.retryLine())
        let again = try #require(
            try readAll(folder.file("b.jsonl", retry), format: .jsonLines).first)
        #expect(again.pieces == entry.pieces && again.options == entry.options)
    }

    @Test(arguments: [
        #"{"type":"sha-1","length":4}"#, #"{"type":"sha-1","length":4,"hashes":"!"}"#, "7",
        #"{"type":"sha-1","length":0,"hashes":"AAAAAAAAAAAAAAAAAAAAAAAAAAA="}"#,
        #"{"type":"tiger","length":4,"hashes":"AAAA"}"#, #"{"type":"sha-1","length":4,"hashes":""}"#,
        #"{"type":"sha-1","length":4,"hashes":"AAAAAAAAAAAAAAAAAAAAAAAAAAA=","more":1}"#,
    ]) func `pieces that are none cost their line`(_ pieces: String) throws {
        let folder = try TempDirectory()
        let line = "{\"url\":\"http://a/1\",\"pieces\":\(pieces)}"
        let entry = try #require(
            try readAll(folder.file("a.jsonl", Array(line.utf8)), format: .jsonLines).first)
        #expect(fault(entry)?.code == .badOption)
    }

    @Test func `a line of JSON over 64 KiB is for digests of pieces only`() throws {
        let folder = try TempDirectory()
        func code(_ line: String) throws -> ErrorCode? {
            let entries = try readAll(folder.file("a.jsonl", Array(line.utf8)), format: .jsonLines)
            return entries.first.flatMap { fault($0)?.code }
        }
        let hashes = base64([UInt8](repeating: 7, count: PieceHashes.limit / 20 * 20))
        #expect(
            try code(
                "{\"url\":\"http://a/1\",\"pieces\":{\"type\":\"sha-1\",\"length\":4,\"hashes\":\"\(hashes)\"}}"
            )
                == nil)
        #expect(try code("{\"url\":\"http://a/\(String(repeating: "x", count: 70_000))\"}") == .badLine)
    }

    private func base64(_ bytes: [UInt8]) -> String {
        PieceHashes(algorithm: .sha1, length: 4, bytes: bytes)!.base64
    }
}

/// A text read as a Metalink.
private struct ListProbe {
    private let text: [UInt8]
    init(_ text: String) { self.text = Array(text.utf8) }

    func prove() throws {
        let folder = try TempDirectory()
        let path = try folder.file("x.meta4", text)
        let reader = try Self.reader(path)
        while true {
            let slice = try reader.next()
            if let trouble = slice.trouble { throw ListRefusal(trouble) }
            if slice.isAtEnd { return }
        }
    }

    static func reader(_ path: String, from position: ListPosition = ListPosition()) throws -> ListReader {
        let file = OpenFile(try .open(FilePath(path), .readOnly), path: path)
        return ListReader(
            ListBytes(file, isGzip: false), name: "x.meta4", format: .metalink, rules: ListRules(),
            from: position)
    }
}
