// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

struct MaskingTests {
    @Test(arguments: [
        ("https://example.org/a?b=c", "https://example.org/a?b=c"),
        ("https://u:pw@example.org/", "https://u:***@example.org/"),
        ("https://u:p:w@x@example.org/", "https://u:***@example.org/"),
        ("https://u@example.org/@scope/x", "https://u@example.org/@scope/x"),
        ("https://example.org:8080/a@b", "https://example.org:8080/a@b"),
        ("https://[::1]:8080/a@b", "https://[::1]:8080/a@b"),
        ("https://u:pa/ss@example.org/", "https://u:***@example.org/"),
        ("u:pw@example.org/x", "u:***@example.org/x"),
        ("https://:pw@example.org", "https://:***@example.org"),
        ("https://h/?X-Amz-Signature=abc&x=1", "https://h/?X-Amz-Signature=***&x=1"),
        ("https://h/?a=1;Token=abc#k", "https://h/?a=1;Token=***#k"),
        ("https://h/?%74oken=abc", "https://h/?%74oken=***"),
        ("https://h/?api_key=a=b=c&password=&credential", "https://h/?api_key=***&password=***&credential"),
        ("https://h/p#access_token=abc", "https://h/p#access_token=***"),
        ("https://u:pw@h?secret=1", "https://u:***@h?secret=***"),
        ("https://h/?a=1?token=2", "https://h/?a=1?token=***"),
        ("", ""), ("://", "://"), ("@", "@"), ("http://", "http://"), (":@", ":***@"), ("?", "?"),
        ("http://?token=", "http://?token=***"),
    ])
    func `passwords and secret query values are masked`(url: String, shown: String) {
        #expect(Masking.url(url) == shown)
    }

    @Test func `bytes of a URL that is not ASCII stay`() {
        let decomposed = "https://h/e\u{301}"
        #expect(Array(Masking.url(decomposed).utf8) == Array(decomposed.utf8))
    }

    @Test(arguments: [
        "Authorization", "proxy-authorization", "COOKIE", "Set-Cookie", "X-Api-Key", "X-Auth-Token",
        "X-Secret", "X-Passwd",
    ])
    func `secret headers are masked`(name: String) {
        #expect(Masking.header(HeaderField(name: name, value: "v")) == HeaderField(name: name, value: "***"))
    }

    @Test(arguments: ["Accept", "User-Agent", "Referer"])
    func `other headers are shown`(name: String) {
        #expect(Masking.header(HeaderField(name: name, value: "v")).value == "v")
    }

    @Test func `text cannot move a cursor or reorder a line`() {
        #expect(Masking.text("plain é 漢") == "plain é 漢")
        #expect(Masking.text("a\u{1b}[31mb\r\n\tc\0") == "a\\u{1b}[31mb\\r\\n\\tc\\u{0}")
        #expect(
            Masking.text("\u{85}\u{9b}\u{7f}\u{202e}\u{2066}\u{feff}\u{e0041}")
                == "\\u{85}\\u{9b}\\u{7f}\\u{202e}\\u{2066}\\u{feff}\\u{e0041}")
    }

    @Test func `URLs inside a line are masked`() {
        #expect(
            Masking.line("see http://u:p@h/ \tand\thttp://h/?token=x\n")
                == "see http://u:***@h/ \\tand\\thttp://h/?token=***")
    }
}
