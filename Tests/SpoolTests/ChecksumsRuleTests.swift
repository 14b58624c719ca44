// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

@testable import Spool

@Suite struct ChecksumsRuleTests {
    private func entry(
        _ checksums: String?, defaults: String? = nil, url: String = "https://h/a",
        _ change: (inout JobOptions) -> Void = { _ in }
    ) throws -> AdmittedEntry {
        let builder = EntryBuilder(
            rules: ListRules(spool: "/var/spool/dld"), layout: try OutputLayout(template: "flat"),
            outputRoot: "/srv/dld", cipher: JobIDCipher(key: 7))
        var entry = ListEntry(line: 3, body: .urls([url]))
        entry.options.checksums = checksums
        change(&entry.options)
        var list = JobOptions()
        list.checksums = defaults
        return builder.admitted(entry, list: ListID(1), seq: JobSeq(9), defaults: list)
    }

    @Test(
        arguments: [
            ("sums/SHA256SUMS", "/srv/dld/sums/SHA256SUMS"), ("./S", "/srv/dld/S"),
            ("/srv/dld/d/S", "/srv/dld/d/S"), ("/var/spool/dld/mine/S", "/var/spool/dld/mine/S"),
            ("HTTPS://Sums.example/S", "https://sums.example/S"),
        ])
    func `a list of digests is a URL, or a file below the output or the spool`(
        text: String, source: String
    ) throws {
        #expect(try entry(text).digestList?.source.text == source)
    }

    @Test(
        arguments: [
            ("../S", ErrorCode.outsideOutput), ("/etc/shadow", .outsideOutput),
            ("/srv/dld/../x", .outsideOutput),
            ("/srv/dldx/S", .outsideOutput), (".dld/x", .outsideOutput),
            ("/srv/dld/.dld/ID/1.part", .outsideOutput),
            ("file:///etc/shadow", .badURL), ("ftp://h/S", .badURL), ("/", .badOption),
        ])
    func `whatever else dld could read is refused`(text: String, code: ErrorCode) throws {
        guard case .bad(let error) = try entry(text).kind else {
            Issue.record("\(text) is taken")
            return
        }
        #expect(error.code == code, "\(error)")
        #expect(error.message.hasPrefix("line 3: "))
    }

    @Test func `an entry's own word goes before the list's: a digest, another list, none`() throws {
        #expect(try entry(nil, defaults: "https://s/S").digestList?.source.text == "https://s/S")
        #expect(try entry("https://s/T", defaults: "https://s/S").digestList?.source.text == "https://s/T")
        #expect(try entry("none", defaults: "https://s/S").digestList == nil)
        let own = try entry(nil, defaults: "https://s/S") {
            $0.checksum = Checksum("md5=" + String(repeating: "0", count: 32))
        }
        #expect(own.digestList == nil)
        #expect(try entry(nil).digestList == nil)
    }

    @Test func `secrets of the entry go along to its own origin only`() throws {
        func options(_ sums: String) throws -> JobOptions? {
            try entry(sums) {
                $0.username = "me"
                $0.password = "secret"
                $0.headers = [HeaderField(name: "Cookie", value: "c")]
                $0.maxAttempts = 3
            }.digestList?.options
        }
        let same = try options("https://h/SHA256SUMS")
        #expect(same?.username == "me" && same?.headers?.count == 1 && same?.maxAttempts == 3)
        let other = try options("https://elsewhere/SHA256SUMS")
        #expect(
            other?.username == nil && other?.password == nil && other?.headers == nil
                && other?.maxAttempts == 3)
    }
}
