// SPDX-License-Identifier: Apache-2.0

import CDigest
import JobModel

/// One digest in the making: OpenSSL's EVP for the cryptographic ones, libext2fs for crc32c.
@safe
struct RunningDigest: ~Copyable {
    private let algorithm: DigestAlgorithm
    /// nil for crc32c.
    private let context: OpaquePointer?
    /// CRC-32C starts at all ones and ends inverted (RFC 3720, 12.1).
    private var crc: UInt32 = 0xFFFF_FFFF

    /// nil where the library refuses the algorithm: md5 under a FIPS configuration.
    static func make(_ algorithm: DigestAlgorithm) -> RunningDigest? {
        if algorithm == .crc32c { return unsafe RunningDigest(algorithm, nil) }
        guard let type = unsafe OpaquePointer(bitPattern: fetched[algorithm] ?? 0),
            let context = unsafe EVP_MD_CTX_new()
        else { return nil }
        guard unsafe EVP_DigestInit_ex(context, type, nil) == 1 else {
            unsafe EVP_MD_CTX_free(context)
            return nil
        }
        return unsafe RunningDigest(algorithm, context)
    }

    /// Has libcrypto read its configuration and choose its code, once for all processes forked from here on: a worker
    /// may open no file any more.
    static func prepare() {
        for algorithm in DigestAlgorithm.allCases { _ = make(algorithm)?.finish() }
    }

    /// Addresses of libcrypto's EVP_MD, kept for life. Looked up by name for each digest they would cost more than the
    /// bytes of a small file.
    private static let fetched: [DigestAlgorithm: UInt] = {
        var found: [DigestAlgorithm: UInt] = [:]
        for algorithm in DigestAlgorithm.allCases {
            guard let name = evpName(algorithm) else { continue }
            found[algorithm] = unsafe EVP_MD_fetch(nil, name, nil).map { UInt(bitPattern: $0) }
        }
        return found
    }()

    private init(_ algorithm: DigestAlgorithm, _ context: OpaquePointer?) {
        self.algorithm = algorithm
        unsafe self.context = context
    }

    deinit { if let context = unsafe context { unsafe EVP_MD_CTX_free(context) } }

    /// Answers whether the library took it; it has no reason not to.
    mutating func update(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let start = bytes.baseAddress, bytes.count > 0 else { return true }
        if let context = unsafe context {
            return unsafe EVP_DigestUpdate(context, start, bytes.count) == 1
        }
        unsafe crc = ext2fs_crc32c_le(crc, start.assumingMemoryBound(to: UInt8.self), bytes.count)
        return true
    }

    /// The digest, crc32c with its most significant byte first. nil if the library fails.
    consuming func finish() -> Checksum? {
        guard let context = unsafe context else {
            let value = ~crc
            let bytes = [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> UInt32($0)) }
            return Checksum(algorithm: .crc32c, bytes: bytes)
        }
        var bytes = [UInt8](repeating: 0, count: algorithm.byteCount)
        guard unsafe EVP_DigestFinal_ex(context, &bytes, nil) == 1 else { return nil }
        return Checksum(algorithm: algorithm, bytes: bytes)
    }

    private static func evpName(_ algorithm: DigestAlgorithm) -> String? {
        switch algorithm {
        case .sha256: "SHA256"
        case .sha512: "SHA512"
        case .sha384: "SHA384"
        case .sha224: "SHA224"
        case .sha1: "SHA1"
        case .md5: "MD5"
        case .blake2b: "BLAKE2B-512"
        case .crc32c: nil
        }
    }
}
