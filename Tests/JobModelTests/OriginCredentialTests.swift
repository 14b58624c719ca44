// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

@Suite struct OriginCredentialTests {
    private func parse(_ text: String) -> Result<OriginCredential, OriginCredential.Fault> {
        OriginCredential.parse(Array(text.utf8))
    }

    @Test(arguments: [
        ("joe:secret", "joe", "secret"), ("joe:secret\n", "joe", "secret"),
        ("joe:secret\r\n", "joe", "secret"),
        ("joe:", "joe", ""), ("joe:a:b c", "joe", "a:b c"), ("jo e:p", "jo e", "p"), ("jö:pä", "jö", "pä"),
    ])
    func `user and password are read`(text: String, user: String, password: String) throws {
        #expect(try parse(text).get() == .basic(user: user, password: password))
    }

    @Test func `a header is told by the space behind its colon`() throws {
        let field = HeaderField(name: "Authorization", value: "Bearer a:b")
        #expect(try parse("Authorization: Bearer a:b\n").get() == .header(field))
    }

    @Test(arguments: [
        "", "\n", "secret", ":secret", "joe:a\nb:c", "joe:a\n\n", "a:b\u{1}", "Range: bytes=0-1",
        "Host: x.example",
        "Proxy-Authorization: Basic x", "Authorization: ", "two words: x", "joe:a\rb",
    ])
    func `anything else is refused, and the words do not tell it`(text: String) {
        guard case .failure(let fault) = parse(text) else {
            Issue.record("taken: \(text)")
            return
        }
        #expect(!fault.description.contains("Proxy") && !fault.description.contains("joe"))
    }

    @Test func `what is no UTF-8 or over 64 KiB is refused`() {
        guard case .failure = OriginCredential.parse([0x61, 0x3A, 0xFF]) else {
            Issue.record("taken")
            return
        }
        let long = Array("a:".utf8) + [UInt8](repeating: 0x62, count: 64 * 1024)
        guard case .failure(let fault) = OriginCredential.parse(long) else {
            Issue.record("taken")
            return
        }
        #expect(fault.description.contains("64 KiB"))
    }

    @Test func `a credential never prints itself`() throws {
        let credential = try parse("joe:secret").get()
        var dumped = ""
        dump(credential, to: &dumped)
        for text in ["\(credential)", String(reflecting: credential), dumped] {
            #expect(!text.contains("secret"))
        }
    }
}
