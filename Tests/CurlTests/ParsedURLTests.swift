// SPDX-License-Identifier: Apache-2.0

import Curl
import Testing

@Suite struct ParsedURLTests {
    @Test(arguments: [
        ("http://Example.ORG", "http://example.org/"),
        ("HTTP://example.org:80/a", "http://example.org/a"),
        ("https://example.org:443/a", "https://example.org/a"),
        ("https://example.org:8443/a", "https://example.org:8443/a"),
        ("http://h/a b?c d", "http://h/a%20b?c+d"),
        ("http://h/\u{e9}", "http://h/%c3%a9"),
        ("http://h/a/../b/./c", "http://h/b/c"),
        ("http://h/a#part", "http://h/a"),
        ("http://[::1]:8080/a", "http://[::1]:8080/a"),
        ("http://[FE80::1%25eth0]/a", "http://[fe80::1%25eth0]/a"),
        ("http://b\u{fc}cher.example/", "http://xn--bcher-kva.example/"),
        ("http://0x7f.1/", "http://127.0.0.1/"),
        ("http://u:p@h/", "http://u:p@h/"),
        ("http://u%40x:p%3A@h/", "http://u%40x:p%3A@h/"),
    ])
    func `a URL is normalised`(given: String, expected: String) throws {
        #expect(try ParsedURL.parse(given).text == expected)
    }

    @Test func `the components are those of the normalised URL`() throws {
        let url = try ParsedURL.parse("HTTPS://us%20er:p%3Aw@EXAMPLE.org:8443/d/f%2Fg?q=1#x")
        #expect(url.scheme == "https")
        #expect(url.host == "example.org")
        #expect(url.port == 8443)
        #expect(!url.isDefaultPort)
        #expect(url.hostKeyText == "example.org:8443")
        #expect(url.path == "/d/f%2Fg")
        #expect(url.query == "q=1")
        #expect(url.user == "us er")
        #expect(url.password == "p:w")
    }

    @Test func `both schemes of a host on their own ports have one host key`() throws {
        #expect(try ParsedURL.parse("http://h/").hostKeyText == "h")
        #expect(try ParsedURL.parse("https://h:443/").hostKeyText == "h")
        #expect(try ParsedURL.parse("https://[::1]/").hostKeyText == "[::1]")
    }

    @Test(arguments: [
        "", "example.org/a", "/a/b", "http://", "http://[::1", "http://h:99999/", "http://[::1/",
        "http://h\n/", "http://a b/",
        "http://h/a\u{0}b", "http://h/\u{7f}", "magnet:?xt=urn:x", "http://h\r\nX: y/",
    ])
    func `what is no URL is refused`(text: String) {
        #expect(throws: CurlURLError.self) { try ParsedURL.parse(text) }
    }

    @Test func `spaces are refused where they are not allowed`() {
        #expect(throws: CurlURLError.self) { try ParsedURL.parse("http://h/a b", allowsSpaces: false) }
    }

    @Test func `a missing scheme and an unknown one are told apart`() {
        #expect {
            try ParsedURL.parse("example.org/a")
        } throws: { ($0 as? CurlURLError)?.isMissingScheme == true }
        #expect {
            try ParsedURL.parse("magnet://xt")
        } throws: { ($0 as? CurlURLError)?.isUnsupportedScheme == true }
    }

    @Test(arguments: [
        ("/c", "https://h/c"), ("c?x=1", "https://h/a/c?x=1"), ("../c", "https://h/c"),
        ("//other/c", "https://other/c"),
        ("http://other:8080/d e", "http://other:8080/d%20e"), ("?q", "https://h/a/b?q"),
        ("https://evil:secret@other/x", "https://other/x"),
    ])
    func `a Location is resolved against its base`(location: String, expected: String) throws {
        #expect(try ParsedURL.parse("https://h/a/b").resolving(location).text == expected)
    }

    @Test(arguments: ["////c", "http://[::1/", "http://h\n/", "http://h:99999/", "magnet:?x"])
    func `a Location that is no URL is refused`(location: String) throws {
        let base = try ParsedURL.parse("https://h/a/b")
        #expect(throws: CurlURLError.self) { try base.resolving(location) }
    }

    @Test func `credentials stay on their origin only`() throws {
        let base = try ParsedURL.parse("https://me:pw@h/a")
        #expect(try base.resolving("/b").text == "https://me:pw@h/b")
        #expect(try base.resolving("https://h/b").text == "https://me:pw@h/b")
        #expect(try base.resolving("https://other:no@h/b").text == "https://me:pw@h/b")
        #expect(try base.resolving("http://h/b").text == "http://h/b")
        #expect(try base.resolving("https://h:8443/b").text == "https://h:8443/b")
        #expect(try base.resolving("https://i/b").text == "https://i/b")
    }

    @Test func `a URL can be shown without its credentials`() throws {
        #expect(try ParsedURL.parse("https://me:pw@h/a?b").withoutCredentials().text == "https://h/a?b")
    }

    @Test func `a host name longer than any can be is refused before it is looked at`() {
        #expect(throws: CurlURLError.self) {
            try ParsedURL.parse("http://" + String(repeating: "\u{fc}", count: 600) + ".example/")
        }
        #expect(throws: CurlURLError.self) { try ParsedURL.parse("http://s\u{9a}0.example/") }
    }
}
