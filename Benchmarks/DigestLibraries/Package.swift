// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0
// Which library hashes faster here: OpenSSL's EVP or swift-crypto (BoringSSL). A package of its own: dld does not
// build swift-crypto. swift run -c release --package-path Benchmarks/DigestLibraries
import PackageDescription

let package = Package(
    name: "DigestLibraries",
    dependencies: [.package(url: "https://github.com/apple/swift-crypto", from: "4.0.0")],
    targets: [
        .systemLibrary(name: "CEVP", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .executableTarget(
            name: "DigestLibraries", dependencies: ["CEVP", .product(name: "Crypto", package: "swift-crypto")]),
    ],
    swiftLanguageModes: [.v6]
)
