// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

@Suite struct DigestMarkTests {
    private let digest = Checksum(algorithm: .crc32c, bytes: [0xDE, 0xAD, 0xBE, 0xEF])

    @Test func `the first wrong digest is fetched again, the second is the end`() {
        #expect(MismatchPolicy.verdict(earlier: 0) == .fetchAgain)
        #expect(MismatchPolicy.verdict(earlier: 1) == .fail)
        #expect(MismatchPolicy.verdict(earlier: 7) == .fail)
    }

    @Test func `attribute and sidecar are named by the plain algorithm`() throws {
        #expect(digest.attributeName == "user.checksum.crc32c")
        #expect(digest.sidecarName(of: "a.iso") == "a.iso.crc32c")
        let sha = Checksum(algorithm: .sha256, bytes: [UInt8](repeating: 1, count: 32))
        #expect(sha.attributeName == "user.checksum.sha256")
        #expect(sha.sidecarName(of: "a") == "a.sha256")
    }

    @Test(
        arguments: [
            ("a.iso", "deadbeef  a.iso\n"), ("a b", "deadbeef  a b\n"), ("a\\b", "\\deadbeef  a\\\\b\n"),
            ("a\nb\r", "\\deadbeef  a\\nb\\r\n"),
        ])
    func `a sidecar has one line as sha256sum writes it`(name: String, text: String) {
        #expect(digest.sidecarText(of: name) == Array(text.utf8))
    }

    @Test func `a quarantined file has its job's id and its own name, within what a name may hold`() {
        let job = JobID(rawValue: 17)
        #expect(QuarantineName.name(of: job, OutputPath(trusted: "d/a.iso")) == "0000000000000011.a.iso")
        let long = OutputPath(trusted: String(repeating: "é", count: 127))
        let name = QuarantineName.name(of: job, long)
        #expect(name.utf8.count == 255 || name.utf8.count == 254)
        #expect(name.hasSuffix("é"))
    }
}
