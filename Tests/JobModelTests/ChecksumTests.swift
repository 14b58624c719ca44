// SPDX-License-Identifier: Apache-2.0

import Foundation
import JobModel
import Testing

struct ChecksumTests {
    static let names: [(DigestAlgorithm, [String])] = [
        (.sha256, ["sha-256", "sha256"]), (.sha512, ["sha-512", "sha512"]), (.sha384, ["sha-384", "sha384"]),
        (.sha224, ["sha-224", "sha224"]), (.sha1, ["sha-1", "sha1"]), (.md5, ["md5"]), (.crc32c, ["crc32c"]),
        (.blake2b, ["blake2b", "blake2b-512", "blake2b512"]),
    ]

    @Test(arguments: names) func `every algorithm has every spelling, in any case`(
        algorithm: DigestAlgorithm, spellings: [String]
    ) {
        // Hex and base64 with letters in both cases; base64 that begins as the long name of blake2b goes on.
        let bytes = [0xE7, 0x5D, 0xB6] + (3..<max(4, algorithm.byteCount)).map { UInt8(255 - $0 * 2) }
        let wanted = Checksum(algorithm: algorithm, bytes: Array(bytes.prefix(algorithm.byteCount)))
        let base64 = Data(wanted.bytes).base64EncodedString()
        for name in spellings {
            for shown in [name, name.uppercased(), name.capitalized] {
                for hex in [wanted.hex, wanted.hex.uppercased()] {
                    #expect(Checksum("\(shown)=\(hex)") == wanted)
                    #expect(Checksum("\(shown):\(hex)") == wanted)
                }
                #expect(Checksum("\(shown)-\(base64)") == wanted)
            }
            #expect(DigestAlgorithm(spelled: name.uppercased()) == algorithm)
        }
        #expect(Checksum(wanted.description) == wanted)
        #expect(DigestAlgorithm(spelled: algorithm.tag) == algorithm)
    }

    @Test(
        arguments: [
            "", "md5", "md5=", "md5=00", "md5:zz", "md5 d41d8cd98f00b204e9800998ecf8427e", "sha-3=00",
            "d41d8cd98f00b204e9800998ecf8427e", "md5=+41d8cd98f00b204e9800998ecf8427e",
            "md5=d41d8cd98f00b204e9800998ecf8427e ", "md5-!!!!", "md5=d41d8cd98f00b204e9800998ecf8427",
            "sha256=d41d8cd98f00b204e9800998ecf8427e", "md5=d41d8cd98f00b204e9800998ecf8427é",
        ]) func `what has another form or length is no checksum`(text: String)
    {
        #expect(Checksum(text) == nil)
    }

    @Test func `of all bytes only the digits of either case are hex`() {
        for byte in UInt8(1)..<128 {
            let text = "md5=" + String(decoding: [byte], as: UTF8.self) + "41d8cd98f00b204e9800998ecf8427e"
            let value = UInt8(String(decoding: [byte], as: UTF8.self), radix: 16)
            #expect(Checksum(text)?.bytes.first == value.map { $0 << 4 | 4 }, "byte \(byte)")
        }
    }
}
