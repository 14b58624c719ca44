// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

@Suite struct DigestNamesTests {
    @Test(
        arguments: [
            ("a.iso", "a.iso"), ("./a.iso", "a.iso"), ("././d/./a", "d/a"), ("d//a", "d/a"),
            ("/srv/d/a", "srv/d/a"),
            ("a b", "a b"), ("d/../a", nil), ("..", nil), (".", nil), ("/", nil),
        ] as [(String, String?)])
    func `a line's name loses what no entry has`(name: String, wanted: String?) {
        #expect(DigestNames.normalized(Array(name.utf8)) == wanted)
    }

    @Test func `bytes that are no UTF-8, or longer than any path, are nobody's name`() {
        #expect(DigestNames.normalized([0x61, 0xFF]) == nil)
        #expect(DigestNames.normalized([UInt8](repeating: 0x61, count: 5000)) == nil)
    }

    @Test func `an entry goes by the end of its URL, the longest first, then by its own path`() {
        let names = DigestNames.candidates(
            url: "https://u:p@h.example:8443/pub/8%20x/a%2Fb.iso?x=/y/z#/f",
            path: OutputPath(trusted: "isos/own"))
        #expect(names == ["pub/8 x/a%2Fb.iso", "8 x/a%2Fb.iso", "a%2Fb.iso", "isos/own", "own"])
        let same = DigestNames.candidates(url: "http://h/a", path: OutputPath(trusted: "a"))
        #expect(same == ["a"])
        #expect(DigestNames.candidates(url: "http://h/", path: OutputPath(trusted: "index")) == ["index"])
        let deep = "http://h/" + (1...40).map { "\($0)" }.joined(separator: "/")
        let long = DigestNames.candidates(url: deep, path: OutputPath(trusted: "40"))
        #expect(long.count == 16)
        #expect(long.last == "40" && long.first?.hasPrefix("25/") == true)
    }

    @Test func `every algorithm has a strength of its own and comes back by it`() {
        let all = DigestAlgorithm.allCases
        #expect(Set(all.map(\.strength)).count == all.count)
        #expect(all.allSatisfy { DigestAlgorithm(strength: $0.strength) == $0 && $0.strength > 0 })
        #expect(DigestAlgorithm.sha256.strength > DigestAlgorithm.md5.strength)
        #expect(DigestAlgorithm(strength: 0) == nil)
    }
}
