// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import JobModel

struct OutputNameTests {
    private func safe(_ text: String, isTop: Bool = false) -> String {
        OutputName.safe(Array(text.utf8), isTop: isTop)
    }

    @Test(arguments: [
        ("a.iso", "a.iso"), ("", "index"), (".", "index"), ("..", "index"), ("...", "..."), ("a/b", "a%2Fb"),
        ("../x", "..%2Fx"), ("a\0b", "a%00b"), ("a\nb\u{7f}", "a%0Ab%7F"), ("a\u{85}b", "a%C2%85b"),
        (".bashrc", ".bashrc"),
        ("a\\b", "a\\b"), ("a b", "a b"), ("-rf", "-rf"), ("é", "é"), ("e\u{301}", "e\u{301}"),
        ("\u{a0}", "\u{a0}"),
    ])
    func `a component becomes a safe name`(component: String, name: String) {
        #expect(Array(safe(component).utf8) == Array(name.utf8))
    }

    @Test(
        arguments: [
            ([0xFF], "%FF"), ([0xC0, 0xAF], "%C0%AF"), ([0xE2, 0x82], "%E2%82"),
            ([0xED, 0xA0, 0x80], "%ED%A0%80"),
            ([0xF4, 0x90, 0x80, 0x80], "%F4%90%80%80"), ([0x61, 0x80, 0x62], "a%80b"),
            ([0xC2, 0x2F], "%C2%2F"),
        ] as [([UInt8], String)])
    func `bytes that are no UTF-8 are percent-encoded`(bytes: [UInt8], name: String) {
        #expect(OutputName.safe(bytes) == name)
    }

    @Test(arguments: [".dld", ".dldx", ".DLD", ".dld ", ".d\u{200b}ld"])
    func `dld's own folder is out of reach at the top only`(name: String) {
        #expect(safe(name, isTop: true) == "_" + name)
        #expect(safe(name) == name)
    }

    @Test func `long names keep their beginning and extension and stay apart`() {
        let long = String(repeating: "é", count: 300)
        let first = safe(long + "1.tar.gz")
        let second = safe(long + "2.tar.gz")
        #expect(first.utf8.count <= 255 && first.utf8.count > 250)
        #expect(first.hasPrefix("ééé") && first.hasSuffix(".tar.gz"))
        #expect(first != second)
        #expect(safe(long + "1.tar.gz") == first)
        #expect(safe(String(repeating: "a", count: 255)).utf8.count == 255)
        #expect(safe(String(repeating: "a", count: 255)).contains("~") == false)
        #expect(safe(String(repeating: "a", count: 256)).utf8.count == 255)
        #expect(safe("a." + String(repeating: "b", count: 300)).utf8.count == 255)
        #expect(OutputName.safe(Array(repeating: 0xFF, count: 300)).utf8.count == 255)
    }

    @Test func `random bytes never give an unsafe name`() {
        var generator = SplitMix(state: 7)
        for _ in 0..<3000 {
            let bytes = (0..<Int.random(in: 0...300, using: &generator)).map { _ -> UInt8 in
                Bool.random(using: &generator)
                    ? UInt8.random(in: 0...255, using: &generator)
                    : "./\0%~d".utf8.randomElement(using: &generator) ?? 0
            }
            let name = Array(OutputName.safe(bytes, isTop: true).utf8)
            #expect((1...255).contains(name.count))
            #expect(!name.contains { $0 < 0x20 || $0 == 0x7F || $0 == UInt8(ascii: "/") })
            #expect(name != Array(".".utf8) && name != Array("..".utf8))
            #expect(!OutputName.isReserved(name))
        }
    }

    @Test(arguments: [
        ("a/name.ext", 1, "a/name.1.ext"), ("name", 2, "name.2"), (".bashrc", 3, ".bashrc.3"),
        ("a.b/c", 4, "a.b/c.4"),
    ])
    func `a taken name gets a number before its extension`(path: String, number: Int, renamed: String) {
        #expect(OutputPath(trusted: path).numbered(number).description == renamed)
    }

    @Test func `a numbered name stays within 255 bytes`() {
        let dotted = OutputPath(trusted: "a." + String(repeating: "x", count: 253))
        #expect(dotted.numbered(12345).bytes.count == 255)
        let long = OutputPath(trusted: String(repeating: "a", count: 251) + ".iso")
        let renamed = long.numbered(12345)
        #expect(renamed.lastComponent.utf8.count == 255 && renamed.lastComponent.hasSuffix(".12345.iso"))
    }

    @Test(arguments: [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
    ])
    func `the digest in names is SHA-256`(message: String, hex: String) {
        #expect(NameDigest.hex(Array(message.utf8)) == hex)
    }
}

/// A small seeded generator: the same sequence in every run.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
