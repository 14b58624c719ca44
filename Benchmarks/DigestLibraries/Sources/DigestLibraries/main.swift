// SPDX-License-Identifier: Apache-2.0
// The same bytes from memory through both libraries, in turn (A B A B ...), nine rounds; CPU time, medians of ratios.
// Small inputs count too: there the price is the start of a digest, not its bytes.

import CEVP
import Crypto
import Glibc

func seconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

func evp(_ name: String, _ bytes: UnsafeRawBufferPointer, _ count: Int) -> [UInt8] {
    let type = EVP_MD_fetch(nil, name, nil)
    defer { EVP_MD_free(type) }
    var digest = [UInt8](repeating: 0, count: 64)
    var length: UInt32 = 0
    let context = EVP_MD_CTX_new()
    defer { EVP_MD_CTX_free(context) }
    for _ in 0..<count {
        EVP_DigestInit_ex(context, type, nil)
        EVP_DigestUpdate(context, bytes.baseAddress, bytes.count)
        EVP_DigestFinal_ex(context, &digest, &length)
    }
    return Array(digest.prefix(Int(length)))
}

func swift<Hash: HashFunction>(_: Hash.Type, _ bytes: UnsafeRawBufferPointer, _ count: Int) -> [UInt8] {
    var digest: [UInt8] = []
    for turn in 0..<count {
        var hash = Hash()
        hash.update(bufferPointer: bytes)
        let value = hash.finalize()
        if turn == count - 1 { digest = Array(value) }
    }
    return digest
}

let ways: [(String, (UnsafeRawBufferPointer, Int) -> [UInt8])] = [
    ("SHA256", { swift(SHA256.self, $0, $1) }), ("SHA512", { swift(SHA512.self, $0, $1) }),
    ("SHA384", { swift(SHA384.self, $0, $1) }), ("SHA1", { swift(Insecure.SHA1.self, $0, $1) }),
    ("MD5", { swift(Insecure.MD5.self, $0, $1) }),
]
print("algorithm      bytes    EVP MB/s  swift-crypto MB/s  EVP / swift-crypto (lowest, highest)")
for (name, other) in ways {
    for size in [1 << 20, 16 << 10, 256] {
        let block = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let count = max(1, (48 << 20) / size / (size < 1024 ? 8 : 1))
        var rates: [(Double, Double)] = []
        block.withUnsafeBytes { bytes in
            for _ in 0..<9 {
                let start = seconds()
                let one = evp(name, bytes, count)
                let middle = seconds()
                let two = other(bytes, count)
                let end = seconds()
                guard one == two else { fatalError("\(name): the two libraries differ") }
                let total = Double(size * count) / 1e6
                rates.append((total / (middle - start), total / (end - middle)))
            }
        }
        func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }
        let ratios = rates.map { $0.0 / $0.1 }.sorted()
        func shown(_ value: Double) -> String { "\((value * 100).rounded() / 100)" }
        func pad(_ text: String, _ width: Int) -> String {
            String(repeating: " ", count: max(0, width - text.count)) + text
        }
        print(
            name + pad(String(size), 20 - name.count), pad(shown(median(rates.map(\.0))), 11),
            pad(shown(median(rates.map(\.1))), 18),
            pad("\(shown(median(ratios)))  (\(shown(ratios[0])), \(shown(ratios[8])))", 24))
    }
}
