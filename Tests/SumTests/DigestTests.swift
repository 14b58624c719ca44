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
    ]

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
