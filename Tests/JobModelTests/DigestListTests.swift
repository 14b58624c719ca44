// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

struct DigestListTests {
    static let md5 = "d41d8cd98f00b204e9800998ecf8427e"
    static let sha1 = "da39a3ee5e6b4b0d3255bfef95601890afd80709"
    static let sha224 = "d14a028c2a3a2bc9476102bb288234c415a2b01f828ea62ac5b3e42f"
    static let sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    static let sha384 = String(repeating: "38", count: 48)
    static let wide = String(repeating: "5a", count: 64)

    /// What a line of its own list is: `ALGORITHM:HEX NAME`, the reason, or a word.
    func read(_ line: String, hint: DigestAlgorithm? = nil) -> String {
        var reader = DigestListReader(hint: hint)
        return shown(reader.read(Array(line.utf8)))
    }
    func shown(_ line: DigestListLine) -> String {
        switch line {
        case .entry(let entry):
            "\(entry.checksum) \(entry.isBinary ? "*" : "")\(String(decoding: entry.name, as: UTF8.self))"
        case .bare(let checksum): "bare \(checksum)"
        case .blank: "blank"
        case .malformed(let fault): "\(fault)"
        }
    }

    static let plain: [(String, String)] = [
        ("\(sha256)  a b", "sha256:\(sha256) a b"),
        ("\(sha256) *a", "sha256:\(sha256) *a"),
        ("\(sha256)  *a", "sha256:\(sha256) *a"),
        ("\(sha256)   a ", "sha256:\(sha256)  a "),
        ("\(sha256)\t a", "sha256:\(sha256) a"),
        ("\(sha256) a", "sha256:\(sha256) a"),
        ("  \(sha256)  a\r", "sha256:\(sha256) a"),
        ("\(sha256.uppercased())  dir/../é", "sha256:\(sha256) dir/../é"),
        ("\(md5)  a", "md5:\(md5) a"),
        ("\(sha1)  a", "sha1:\(sha1) a"),
        ("\(sha224)  a", "sha224:\(sha224) a"),
        ("\(sha384)  a", "sha384:\(sha384) a"),
        ("\(wide)  a", "sha512:\(wide) a"),
    ]
    @Test(arguments: plain) func `a GNU line is a digest and a name`(line: String, entry: String) {
        // The mark of the third is the name's own: two blanks were before it.
        let wanted = line.contains("  *") ? "sha256:\(Self.sha256) *a" : entry
        #expect(read(line) == wanted)
    }

    static let tagged: [(String, String)] = [
        ("SHA256 (a b) = \(sha256)", "sha256:\(sha256) a b"),
        ("SHA256(a)= \(sha256)", "sha256:\(sha256) a"),
        ("SHA256(a)=\(sha256)", "sha256:\(sha256) a"),
        ("SHA2-256(a)= \(sha256.uppercased())\r", "sha256:\(sha256) a"),
        ("sha-256 (a)\t=\t\(sha256)", "sha256:\(sha256) a"),
        ("MD5 (a (1) = x) (2).iso) = \(md5)", "md5:\(md5) a (1) = x) (2).iso"),
        ("SHA1 (a) = \(sha1)", "sha1:\(sha1) a"),
        ("SHA512 (a) = \(wide)", "sha512:\(wide) a"),
        ("BLAKE2b (a) = \(wide)", "blake2b:\(wide) a"),
        ("BLAKE2B-512(a)= \(wide)", "blake2b:\(wide) a"),
        ("CRC32C (a) = E3069283", "crc32c:e3069283 a"),
    ]
    @Test(arguments: tagged) func `a BSD line names its algorithm`(line: String, entry: String) {
        #expect(read(line) == entry)
        #expect(read(line, hint: .sha384) == entry)
    }

    static let others: [(String, String)] = [
        ("", "blank"), ("\r", "blank"), ("# \(sha256)  a", "blank"),
        (sha256, "bare sha256:\(sha256)"), (" \(md5)\r", "bare md5:\(md5)"),
        (" ", "shape"), ("junk", "shape"), ("\(sha256)  ", "sha256:\(sha256)  "), ("\(sha256) ", "shape"),
        ("x\(sha256)  a", "shape"), ("\(sha256)0  a", "shape"), ("e3069283  a", "shape"),
        ("\(sha256),a", "shape"),
        ("SHA256 (a) \(sha256)", "shape"), ("SHA256 a = \(sha256)", "shape"), ("(a) = \(sha256)", "shape"),
        ("SHA256 )a( = \(sha256)", "shape"), ("SHA256 () = \(sha256)", "shape"),
        ("TIGER (a) = \(sha256)", "algorithm"), ("BLAKE2b-256 (a) = \(sha256)", "algorithm"),
        ("SHA256 (a) = \(md5)", "digest"), ("SHA256 (a) = \(sha256) ", "digest"), ("MD5 (a) = ", "digest"),
        ("-----BEGIN PGP SIGNED MESSAGE-----", "shape"), ("Hash: SHA256", "shape"),
        ("\\\(sha256)  a\\x", "name"), ("\\\(sha256)  a\\", "name"), ("\(sha256)  a\0b", "name"),
    ]
    @Test(arguments: others) func `what is no entry says why`(line: String, reason: String) {
        #expect(read(line) == reason)
    }

    @Test func `a backslash before the line tells of escapes, and without it there are none`() {
        #expect(read("\\\(Self.md5)  a\\nb\\\\n\\r") == "md5:\(Self.md5) a\nb\\n\r")
        #expect(read("\\SHA256 (a\\nb) = \(Self.sha256)") == "sha256:\(Self.sha256) a\nb")
        #expect(read("\(Self.md5)  a\\nb") == "md5:\(Self.md5) a\\nb")
    }

    @Test func `the name of the list tells what looks like another`() {
        #expect(read("\(Self.wide)  a", hint: .blake2b) == "blake2b:\(Self.wide) a")
        #expect(read("e3069283  a", hint: .crc32c) == "crc32c:e3069283 a")
        #expect(read("\(Self.md5)  a", hint: .sha256) == "md5:\(Self.md5) a")
        #expect(read("SHA512 (a) = \(Self.wide)", hint: .blake2b) == "sha512:\(Self.wide) a")
    }

    @Test func `one blank and two do not mix in a list`() {
        var standard = DigestListReader()
        #expect(shown(standard.read(Array("\(Self.md5)  a".utf8))) == "md5:\(Self.md5) a")
        #expect(shown(standard.read(Array("\(Self.md5) b".utf8))) == "mixed")
        var reversed = DigestListReader()
        #expect(shown(reversed.read(Array("\(Self.md5) a".utf8))) == "md5:\(Self.md5) a")
        #expect(shown(reversed.read(Array("\(Self.md5)  b".utf8))) == "md5:\(Self.md5)  b")
        #expect(shown(reversed.read(Array("MD5 (c) = \(Self.md5)".utf8))) == "md5:\(Self.md5) c")
    }

    @Test(arguments: DigestAlgorithm.allCases, [[0x61], Array("a\nb\\c\rd (1) = ".utf8), [0xFF, 0xFE]])
    func `a line reads as it was printed`(algorithm: DigestAlgorithm, name: [UInt8]) {
        let bytes = (0..<algorithm.byteCount).map { UInt8($0 * 3) }
        let entry = DigestListEntry(checksum: Checksum(algorithm: algorithm, bytes: bytes), name: name)
        for tagged in [false, true] {
            var reader = DigestListReader(hint: algorithm)
            #expect(reader.read(entry.line(tagged: tagged)) == .entry(entry))
        }
    }

    static let listNames: [(String, DigestAlgorithm?)] = [
        ("SHA256SUMS", .sha256), ("md5sums.txt", .md5), ("x/y/a-1.0.iso.sha512", .sha512), ("SHA1SUM", .sha1),
        ("sha384sums", .sha384), ("sha256sum.txt.asc", .sha256), ("B2SUMS", .blake2b), ("a.b2", .blake2b),
        ("a.sha224", .sha224), ("a.crc32c", .crc32c), ("CHECKSUMS", nil), ("", nil),
        ("sha256/files.txt", nil),
    ]
    @Test(arguments: listNames) func `the name of a list tells its algorithm`(
        name: String, algorithm: DigestAlgorithm?
    ) {
        #expect(DigestAlgorithm(listName: name) == algorithm)
    }
}
