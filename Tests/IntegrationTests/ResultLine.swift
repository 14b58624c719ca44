// SPDX-License-Identifier: Apache-2.0

import Foundation
import TestKit
import Testing

/// One line of a results file, with what tests look at.
struct ResultLine: Decodable {
    struct Failure: Decodable {
        let code: String
        let message: String
    }
    let list: Int
    let line: Int
    let job: String?
    let id: String?
    let kind: String
    let state: String
    let path: String?
    let bytes: Int?
    let value: String?
    let digest: String?
    let attempts: Int
    let flags: [String]
    let error: Failure?
    let httpStatus: Int?
    let fetchedBytes: Int?
    let resumedBytes: Int?

    static func parse(_ lines: [String]) throws -> [ResultLine] {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try lines.map { try decoder.decode(ResultLine.self, from: Data($0.utf8)) }
    }
}

extension RunningDaemon {
    /// Drops a list, waits for its end and returns the folder and what its results say.
    func finish(
        _ name: String, _ text: String, within limit: Duration = .seconds(60)
    ) throws -> (folder: String, results: [ResultLine]) {
        try drop(name, text)
        return try waitFor(name, within: limit)
    }

    func waitFor(
        _ name: String, within limit: Duration = .seconds(60)
    ) throws -> (folder: String, results: [ResultLine]) {
        let folder = try waitForList(name, within: limit)
        if folder == "rejected" { return (folder, []) }
        return (folder, try ResultLine.parse(try results(name)))
    }

    /// Fails the test, with the daemon's own words, unless the bytes are the same.
    func expectFile(_ name: String, _ bytes: [UInt8], _ place: SourceLocation = #_sourceLocation) throws {
        let path = "\(output)/\(name)"
        guard FileTree.exists(path) else {
            Issue.record("\(name) is not there\n\(account)", sourceLocation: place)
            return
        }
        let found = try FileTree.read(path)
        #expect(found == bytes, "\(name): \(found.count) bytes of \(bytes.count)", sourceLocation: place)
    }

    /// Nothing unfinished is left in the output directory.
    var partFiles: [String] { FileTree.files(below: "\(output)/.dld").filter { $0.contains("/") } }
}

/// Bytes that differ from file to file and are the same in every run.
func sample(_ seed: Int, _ count: Int) -> [UInt8] {
    var state = UInt64(truncatingIfNeeded: seed) &* 0x9E37_79B9_7F4A_7C15 &+ 1
    return (0..<count).map { _ in
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return UInt8(truncatingIfNeeded: state)
    }
}

/// Fast retries, for tests that want failures.
let quickRetries: ConfigValue = ["retry": ["max_attempts": 2, "base_delay": "20ms", "max_delay": "100ms"]]
