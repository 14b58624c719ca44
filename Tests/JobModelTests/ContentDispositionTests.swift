// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

@Suite struct ContentDispositionTests {
    private func name(_ fields: String...) -> String? {
        ContentDisposition.name(fields.map { Array($0.utf8) })
    }

    @Test(arguments: [
        ("attachment; filename=a.iso", "a.iso"), ("attachment; filename=\"a b.iso\"", "a b.iso"),
        ("ATTACHMENT;FILENAME=a", "a"), ("inline; filename=a.txt", "a.txt"),
        ("attachment ; x=1 ; filename = \"a\" ;", "a"), ("attachment; filename=\"a\\\"b\"", "a\"b"),
        ("attachment; filename=\"€.txt\"", "€.txt"), ("attachment; filename=a%20b", "a%20b"),
        ("attachment; filename*=UTF-8''%e2%82%ac%20rates", "€ rates"),
        ("attachment; filename*=utf-8'en'a; filename=b", "a"),
        ("attachment; filename=b; filename*=UTF-8''a", "a"),
        ("attachment; filename*=ISO-8859-1''%a3.txt", "£.txt"),
        // What is no ext-value counts as not given.
        ("attachment; filename*=UTF-8''%e2%82; filename=b", "b"),
        ("attachment; filename*=UTF-8''%zz; filename=b", "b"),
        ("attachment; filename*=UTF-16''a; filename=b", "b"),
        ("attachment; filename*=\"UTF-8''a\"; filename=b", "b"),
        ("attachment; filename*=a; filename=b", "b"),
    ])
    func `a name is read as RFC 6266 and RFC 8187 say`(field: String, expected: String) {
        #expect(name(field) == expected)
    }

    @Test(arguments: [
        "", "attachment", "filename=a", "attachment; filename", "attachment; filename=",
        "attachment; filename=\"",
        "attachment; filename=\"a", "attachment; filename=a b", "attachment; filename=a; filename=b",
        "attachment; filename=a, attachment; filename=b", "attachment; =a", "attachment filename=a",
        "attachment; filename=a/b", "attachment; filename=\"a\u{1}\"", "attachment; filename=\"a\nb\"",
        "attachment; filename*=UTF-8''", "attachment; filename=\"..\"", "attachment; filename=\"/\"",
        "attachment; filename=\"a/\"", "attachment; filename=\" . \"", "attachment; filename=\"a\\",
    ])
    func `what breaks the grammar or leaves no name gives none`(field: String) {
        #expect(name(field) == nil)
    }

    @Test(arguments: [
        ("\"../../x\"", "x"), ("\"/etc/passwd\"", "passwd"), ("\"c:\\\\dir\\\\b.txt\"", "b.txt"),
        ("\".bashrc\"", "bashrc"), ("\"...x\"", "x"), ("\" . .x\"", "x"), ("\".dld\"", "dld"),
        ("\"%2e%2e%2f\"", "%2e%2e%2f"), ("\"a \"", "a"),
    ])
    func `H48 a name leads nowhere`(value: String, expected: String) {
        #expect(name("attachment; filename=\(value)") == expected)
    }

    @Test func `H48 control characters and bytes that are no UTF-8 are percent-encoded, long names cut`() {
        #expect(name("attachment; filename*=UTF-8''a%00%0a%1b%c2%80b") == "a%00%0A%1B%C2%80b")
        #expect(name("attachment; filename*=UTF-8''..%2f..%2fb") == "b")
        let raw = Array("attachment; filename=\"a".utf8) + [0xFF, 0xC3] + Array("b\"".utf8)
        #expect(ContentDisposition.name([raw]) == "a%FF%C3b")
        let long = name("attachment; filename=\(String(repeating: "x", count: 300)).iso")
        #expect(long?.utf8.count == 255)
        #expect(long?.hasSuffix(".iso") == true)
    }

    @Test func `two fields that differ give no name, two that agree do`() {
        #expect(name("attachment; filename=a", "attachment; filename=b") == nil)
        #expect(name("attachment; filename=a", "attachment; filename=a") == "a")
        #expect(name() == nil)
    }
}
