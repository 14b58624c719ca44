// swift-tools-version: 6.2
import PackageDescription

/// One set of flags for every target: other flags in another command recompile the world.
let strict: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
]
let tests: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .treatAllWarnings(as: .error),
]

let system = Target.Dependency.product(name: "SystemPackage", package: "swift-system")
let arguments = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")

func module(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: strict)
}
func program(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .executableTarget(name: name, dependencies: dependencies, swiftSettings: strict)
}
func suite(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies, swiftSettings: tests)
}

let package = Package(
    name: "dld",
    products: [
        .executable(name: "dld", targets: ["dld"]),
        .executable(name: "sumd", targets: ["sumd"]),
        .executable(name: "dlctl", targets: ["dlctl"]),
    ],
    dependencies: [
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.2"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-http-structured-headers", from: "1.7.0"),
    ],
    targets: [
        // Layer 0: C.
        .systemLibrary(name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
        .systemLibrary(name: "CXML", pkgConfig: "libxml-2.0", providers: [.apt(["libxml2-dev"])]),
        .systemLibrary(
            name: "CDigest", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev", "libext2fs-dev"])]),
        .systemLibrary(
            name: "CSeccomp", pkgConfig: "libseccomp", providers: [.apt(["libseccomp-dev"])]),
        .target(name: "CLinux"),

        // Layer 1: safe handles over C, and the pure values.
        module("Locking", ["CLinux"]),
        module("Curl", ["CCurl", "Locking"]),
        module("LinuxKit", ["CLinux", "Locking", system]),
        module(
            "JobModel",
            [.product(name: "RawStructuredFieldValues", package: "swift-http-structured-headers")]),

        // Layer 2: one concern each; siblings never import each other.
        module("Spool", ["LinuxKit", "JobModel", "Curl", "CZlib", "CXML", system]),
        module(
            "Ledger",
            [
                "CSQLite", "JobModel", .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "GRDBSQLite", package: "GRDB.swift"),
            ]),
        module("Transfer", ["Locking", "Curl", "LinuxKit", "JobModel", system]),
        module("Publish", ["Locking", "LinuxKit", "JobModel", system]),
        .target(
            name: "SumWorker", dependencies: ["LinuxKit", "JobModel", "CDigest", "CSeccomp", system],
            swiftSettings: strict,
            // The static archive: only its crc32c is taken, and no library is added to what users must install.
            linkerSettings: [.linkedLibrary(":libext2fs.a")]),
        module("SumPool", ["LinuxKit", "JobModel", system]),
        module("ControlAPI", ["JobModel"]),
        module("Config", ["JobModel"]),

        // Layer 3: the two ends of the control socket.
        module(
            "ControlServer",
            [
                "ControlAPI", "JobModel", "Locking", logging,
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
            ]),
        module("ControlClient", ["Curl", "ControlAPI", "JobModel"]),

        // Layer 4: dispatcher, wiring, lifecycle.
        module(
            "Daemon",
            [
                "Spool", "Ledger", "Transfer", "Publish", "SumPool", "ControlAPI", "ControlServer", "Config",
                "Curl", "LinuxKit", "Locking", "JobModel", logging, system,
            ]),

        // Layer 5: programs.
        program("dld", ["Daemon", "JobModel", arguments]),
        program("sumd", ["SumWorker", "JobModel", arguments]),
        program("dlctl", ["ControlClient", "ControlAPI", "JobModel", arguments]),

        // Tests.
        .target(
            name: "TestKit", dependencies: ["LinuxKit", "Locking", system], path: "Tests/TestKit",
            // Programs that the tests run from where they lie.
            exclude: ["eat_memory.py", "fault_server.py"], swiftSettings: tests),
        suite("CurlTests", ["Curl", "TestKit"]),
        suite("LinuxKitTests", ["LinuxKit", "Locking", "TestKit", system]),
        suite("JobModelTests", ["JobModel"]),
        .testTarget(
            name: "FuzzTests",
            dependencies: [
                "Config", "ControlAPI", "ControlServer", "JobModel", "Spool", "Transfer", "TestKit",
            ],
            // libFuzzer's own way in (scripts/fuzz), and the inputs, read from where they lie.
            exclude: ["FuzzerEntry.swift", "corpus"], swiftSettings: tests),
        suite("SpoolTests", ["Spool", "LinuxKit", "Locking", "JobModel", "TestKit", system]),
        suite(
            "LedgerTests", ["Ledger", "JobModel", "TestKit", .product(name: "GRDB", package: "GRDB.swift")]),
        suite("TransferTests", ["Transfer", "Locking", "Curl", "JobModel", "TestKit"]),
        suite("PublishTests", ["Publish", "Locking", "LinuxKit", "JobModel", "TestKit", system]),
        suite("SumTests", ["Locking", "SumWorker", "SumPool", "LinuxKit", "JobModel", "TestKit", "sumd"]),
        suite(
            "ControlTests",
            [
                "ControlAPI", "ControlServer", "ControlClient", "JobModel", "LinuxKit", "Locking", "TestKit",
                "dlctl", logging,
            ]),
        suite("ConfigTests", ["Config", "JobModel", "TestKit"]),
        suite(
            "DaemonTests",
            [
                "Daemon", "Transfer", "Publish", "Spool", "Ledger", "SumPool", "LinuxKit", "JobModel",
                "Config",
                "ControlAPI", "TestKit", logging,
            ]),
        suite(
            "IntegrationTests",
            ["TestKit", "ControlAPI", "JobModel", "LinuxKit", "Locking", "dld", "sumd", "dlctl"]),
    ],
    swiftLanguageModes: [.v6]
)
