// SPDX-License-Identifier: Apache-2.0

import Glibc
import TestKit

/// One job of a case and how it must end.
struct FaultJob: Sendable {
    enum Ending: Sendable {
        case done([UInt8])
        /// Any of these codes: the same fault may show itself in several ways.
        case failed(Set<String>)
    }
    var url: String
    /// The name below the case's directory; nil: what the daemon makes of the URL, in that directory all the same.
    var name: String?
    var options: [String] = []
    var ending: Ending
    var attempts: ClosedRange<Int> = 1...1
    /// At least these.
    var flags: Set<String> = []
    /// Bytes of earlier attempts that were not fetched again.
    var resumed: ClosedRange<Int>?

    static func done(
        _ url: String, _ bytes: some Sequence<UInt8>, name: String? = "file", options: [String] = [],
        attempts: ClosedRange<Int> = 1...1, flags: Set<String> = [], resumed: ClosedRange<Int>? = nil
    ) -> FaultJob {
        FaultJob(
            url: url, name: name, options: options, ending: .done(Array(bytes)), attempts: attempts,
            flags: flags, resumed: resumed)
    }

    static func failed(
        _ url: String, _ codes: String..., name: String? = "file", options: [String] = [],
        attempts: ClosedRange<Int> = 1...1
    ) -> FaultJob {
        FaultJob(
            url: url, name: name, options: options, ending: .failed(Set(codes)), attempts: attempts)
    }
}

/// A row of the fault matrix: jobs, how they must end, and what the server may have seen by then.
struct FaultCase: Sendable {
    var jobs: [FaultJob]
    var requests: ClosedRange<Int>?
    /// Of bodies, handed to the kernel by the server.
    var sent: ClosedRange<Int>?
    var limit = Duration.seconds(60)
    private var servers: [any Sendable] = []
    /// Done once the lists are dropped; gets the name of the case's own.
    var meanwhile: (@Sendable (RunningDaemon, String) throws -> Void)?
    /// Differences beyond the usual, in words.
    var also: (@Sendable ([ResultLine]) throws -> [String])?

    init(
        _ jobs: [FaultJob], requests: ClosedRange<Int>? = nil, sent: ClosedRange<Int>? = nil,
        also: (@Sendable ([ResultLine]) throws -> [String])? = nil
    ) {
        self.jobs = jobs
        self.requests = requests
        self.sent = sent
        self.also = also
    }

    /// The same, with something to do once the lists are dropped.
    func during(_ meanwhile: @escaping @Sendable (RunningDaemon, String) throws -> Void) -> FaultCase {
        var result = self
        result.meanwhile = meanwhile
        return result
    }

    /// The same, with servers that must live as long.
    func keeping(_ servers: any Sendable...) -> FaultCase {
        var result = self
        result.servers = servers
        return result
    }

    /// Plays the case of one test; its id is the first word of the test's name.
    ///
    /// On a thread of its own, so that cases that mostly wait can all wait at once.
    static func play(
        _ test: String = #function, on own: (@Sendable () throws -> FaultBench)? = nil,
        _ make: @escaping @Sendable (FaultBench, ScriptedServer) throws -> FaultCase
    ) async throws {
        let words = test.split { $0 == " " || $0 == "`" }
        let isOne = words.count > 1 && words[0].allSatisfy { $0.isLetter || $0.isNumber }
        guard isOne, let id = words.first else { throw KitError("\(test): no row's id") }
        // A row may have several tests, and each a directory of its own.
        let place = id + "-" + String(words[1...].joined().utf8.reduce(0) { ($0 &* 31 &+ Int($1)) & 0xFFFF })
        try await Blocking.run {
            let bench = try own?() ?? FaultBench.lease()
            let server = try ScriptedServer()
            let fault = try make(bench, server)
            try bench.play(place, fault)
            try fault.check(server)
            withExtendedLifetime(fault) {}
        }
    }

    private func check(_ server: ScriptedServer) throws {
        if let requests, !requests.contains(server.requests.count) {
            throw KitError("\(server.requests.count) requests, not \(requests): \(server.requests)")
        }
        if let sent, !sent.contains(server.sentBodyBytes) {
            throw KitError("\(server.sentBodyBytes) bytes were sent, not \(sent)")
        }
    }

    func list(directory: String) -> String {
        jobs.map { job in
            let out = job.name.map { ["out=\($0)"] } ?? []
            return ([job.url] + (["dir=\(directory)"] + out + job.options).map { " \($0)" })
                .joined(separator: "\n")
        }.joined(separator: "\n") + "\n"
    }

    private var files: [String: [UInt8]] {
        var files: [String: [UInt8]] = [:]
        for job in jobs {
            if let name = job.name, case .done(let bytes) = job.ending { files[name] = bytes }
        }
        return files
    }

    /// A final name is a whole file at any moment: names that are there have their full length.
    func partialFiles(in directory: String) -> [String] {
        files.compactMap { name, bytes in
            guard let status = FileTree.status("\(directory)/\(name)"), Int(status.st_size) != bytes.count
            else {
                return nil
            }
            return "\(name) has \(status.st_size) of \(bytes.count) bytes under its final name"
        }
    }

    func differences(_ results: [ResultLine]) throws -> [String] {
        guard results.count == jobs.count else { return ["\(results.count) results of \(jobs.count) jobs"] }
        return zip(jobs, results).flatMap { Self.differences($0, $1) } + (try also?(results) ?? [])
    }

    private static func differences(_ job: FaultJob, _ result: ResultLine) -> [String] {
        var wrong: [String] = []
        switch job.ending {
        case .done: if result.state != "done" { wrong.append("not done but \(result.error?.code ?? "?")") }
        case .failed(let codes):
            if !codes.contains(result.error?.code ?? result.state) {
                wrong.append("\(result.error?.code ?? result.state), not one of \(codes.sorted())")
            }
        }
        if !job.attempts.contains(result.attempts) {
            wrong.append("\(result.attempts) attempts, not \(job.attempts)")
        }
        if !job.flags.isSubset(of: result.flags) {
            wrong.append("flags \(result.flags) without \(job.flags.sorted())")
        }
        if let resumed = job.resumed, !resumed.contains(result.resumedBytes ?? -1) {
            wrong.append("\(result.resumedBytes ?? -1) bytes resumed, not \(resumed)")
        }
        return wrong.map { "line \(result.line), \(job.url.prefix(200)): \($0)" }
    }

    /// Exactly the files of the jobs that are done, with their bytes.
    func differences(below directory: String) throws -> [String] {
        let found = FileTree.files(below: directory)
        let unnamed = jobs.filter { $0.name == nil }
        guard unnamed.isEmpty else { return try unnamedDifferences(found, directory) }
        let expected = files
        guard Set(found) == Set(expected.keys) else {
            return ["files \(found), not \(expected.keys.sorted())"]
        }
        return try expected.compactMap { name, bytes in
            try FileTree.read("\(directory)/\(name)") == bytes ? nil : "\(name) has other bytes"
        }
    }

    /// Names of the daemon's making: as many files as jobs done, each directly in the directory and with proper bytes.
    private func unnamedDifferences(_ found: [String], _ directory: String) throws -> [String] {
        var bodies: [[UInt8]] = []
        for job in jobs { if case .done(let bytes) = job.ending { bodies.append(bytes) } }
        let odd = found.filter { $0.contains("/") || $0.utf8.count > 255 }
        guard odd.isEmpty else { return ["odd names: \(odd)"] }
        let contents = try found.map { try FileTree.read("\(directory)/\($0)") }
        let order: ([UInt8], [UInt8]) -> Bool = { $0.lexicographicallyPrecedes($1) }
        return contents.sorted(by: order) == bodies.sorted(by: order) ? [] : ["other files: \(found)"]
    }
}
