// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import Foundation
import Glibc
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
    let urls: [String]?
    let finalUrl: String?
    let host: String?
    let etag: String?
    let httpStatus: Int?
    let httpVersion: String?
    let fetchedBytes: Int?
    let resumedBytes: Int?
    let worker: String?

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
        // memcmp: comparing arrays of many megabytes takes seconds in a debug build.
        let isSame = found.count == bytes.count && memcmp(found, bytes, bytes.count) == 0
        #expect(isSame, "\(name): \(found.count) bytes of \(bytes.count)", sourceLocation: place)
    }

    /// Permission bits of a path below the test's directory; nil where there is nothing.
    func mode(_ name: String) -> UInt32? { FileTree.status(directory.sub(name)).map { $0.st_mode & 0o7777 } }

    /// All that was published, and nothing else.
    var published: [String] { FileTree.files(below: output).filter { !$0.hasPrefix(".dld/") } }

    /// What `GET /v1/status` says.
    func status() throws -> StatusDocument {
        let answer = try UnixHTTP.get(socket, "/v1/status")
        return try JSONDecoder().decode(StatusDocument.self, from: Data(answer.body.utf8))
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

/// As `sample`, a word at a time: for megabytes.
func bulk(_ seed: Int, _ count: Int) -> [UInt8] {
    var state = UInt64(truncatingIfNeeded: seed) &* 0x9E37_79B9_7F4A_7C15 &+ 1
    return [UInt8](unsafeUninitializedCapacity: count + 8) { buffer, filled in
        let bytes = UnsafeMutableRawBufferPointer(buffer)
        var at = 0
        while at < count {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            bytes.storeBytes(of: state, toByteOffset: at, as: UInt64.self)
            at += 8
        }
        filled = count
    }
}

/// Fast retries, for tests that want failures.
let quickRetries: ConfigValue = ["retry": ["max_attempts": 2, "base_delay": "20ms", "max_delay": "100ms"]]

/// A symbolic link for a test.
func symlinkOrFail(_ target: String, _ path: String, _ place: SourceLocation = #_sourceLocation) {
    #expect(symlink(target, path) == 0, "symlink \(path)", sourceLocation: place)
}
