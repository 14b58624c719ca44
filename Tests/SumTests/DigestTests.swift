// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

@testable import SumWorker

struct DigestTests {
    static let vectors: [(DigestAlgorithm, String, String)] = [
        (.crc32c, "123456789", "e3069283"),
        (.crc32c, "", "00000000"),
        (.md5, "", "d41d8cd98f00b204e9800998ecf8427e"),
        (.md5, "message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
        (.sha1, "abc", "a9993e364706816aba3e25717850c26c9cd0d89d"),
        (.sha256, "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (.sha256, "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            .sha512, "abc",
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                + "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
        ),
        (
            .sha384, "abc",
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
                + "8086072ba1e7cc2358baeca134c825a7"
        ),
        (.sha224, "abc", "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7"),
        (
            .blake2b, "abc",
            "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1"
                + "7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923"
        ),
        (
            .blake2b, "",
            "786a02f742015903c6c6fd852552d272912f4740e15847618a86e217f71f5419"
                + "d25e1031afee585313896444934eb04b903a685b1448b755d56f701afe9be2ce"
        ),
    ]

    @Test func `every algorithm has a vector`() {
        #expect(Set(Self.vectors.map(\.0)) == Set(DigestAlgorithm.allCases))
    }

    func digest(_ algorithm: DigestAlgorithm, _ pieces: [[UInt8]]) throws -> String {
        guard var running = RunningDigest.make(algorithm) else {
            Issue.record("libcrypto does not offer \(algorithm.rawValue)")
            return ""
        }
        for piece in pieces {
            let isTaken = piece.withUnsafeBytes { running.update($0) }
            #expect(isTaken)
        }
        let checksum = running.finish()
        return try #require(checksum).hex
    }

    @Test(arguments: vectors) func `known vectors`(
        algorithm: DigestAlgorithm, text: String, hex: String
    ) throws {
        #expect(try digest(algorithm, [Array(text.utf8)]) == hex)
    }

    @Test(arguments: vectors) func `the cuts of the input do not matter`(
        algorithm: DigestAlgorithm, text: String, hex: String
    ) throws {
        #expect(try digest(algorithm, text.utf8.map { [$0] }) == hex)
        #expect(try digest(algorithm, [[], Array(text.utf8), []]) == hex)
    }

    @Test func `the vector of RFC 3720 for 32 zero bytes`() throws {
        // Appendix B.4 writes it least significant byte first.
        let zeros = [UInt8](repeating: 0, count: 32)
        #expect(try digest(.crc32c, [zeros]) == "8a9136aa")
    }
}
