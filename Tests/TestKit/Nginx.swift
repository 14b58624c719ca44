// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc

/// A real nginx with a configuration, document root, log and ports of its own.
///
/// Beside the files under `root` it answers: `/slow/PATH` the file PATH at `slowRate`; `/status/NNN` for 401, 403,
/// 404, 410, 429 (`Retry-After: 1`), 500, 502 and 503; `/drop` closes without a word; `/redirect/PATH` leads to
/// `/PATH`. Any thread.
public final class Nginx: Sendable {
    public struct Setup: Sendable {
        public var workers = 1
        /// Each gets a listener on the same port: two addresses are two hosts.
        public var addresses = ["127.0.0.1"]
        /// A second port with TLS and HTTP/2.
        public var hasTLS = false
        public var hasHTTP2 = true
        /// Bytes a second and connection below `/slow/`, in nginx's notation.
        public var slowRate = "64k"
        public var keepaliveRequests = 1000
        /// Added to the one `server` block.
        public var directives = ""
        /// Taken as document root instead of an empty directory.
        public var root: String?
        public init() {}
    }

    /// One line of the access log, written when the answer has been sent.
    public struct Entry: Sendable, Decodable {
        public let connection: Int
        /// The number of this request on its connection, from 1.
        public let requests: Int
        public let method: String
        /// As requested, with the query.
        public let uri: String
        public let `protocol`: String
        public let host: String
        public let address: String
        public let port: String
        public let status: Int
        /// Bytes of the body that were sent.
        public let bytes: Int
        /// The `Range` field, empty without one.
        public let range: String
        public let ifRange: String
        public let agent: String
        public let seconds: Double
    }

    public let setup: Setup
    public let root: String
    public let port: UInt16
    public let tlsPort: UInt16?
    /// What a client must trust for the TLS port.
    public var caFile: String? { authority?.caFile }
    private let directory: TempDirectory
    private let authority: TestAuthority?
    private let process: ChildProcess

    public init(_ setup: Setup = Setup()) throws {
        self.setup = setup
        let directory = try TempDirectory()
        self.directory = directory
        root = try setup.root ?? directory.directory("root")
        authority = setup.hasTLS ? try TestAuthority() : nil
        let program = try ProgramRun.find("nginx")
        var failure = ""
        for _ in 0..<5 {
            let port = try FreePort.find(on: setup.addresses)
            let tlsPort = setup.hasTLS ? try FreePort.find(on: setup.addresses) : nil
            if tlsPort == port { continue }
            let text = Self.configuration(
                setup, directory: directory, root: root, authority: authority, port: port, tlsPort: tlsPort)
            let file = try directory.file("nginx.conf", text)
            let process = try ChildProcess(
                program, ["-p", directory.path, "-c", file, "-e", directory.sub("error.log")],
                deathSignal: SIGTERM)
            do {
                try eventually(within: .seconds(10), "nginx listens") {
                    if !process.isRunning { throw KitError(process.transcript) }
                    // The pid file comes after the bind: another process on the same port is not taken for nginx.
                    return FileTree.exists(directory.sub("nginx.pid"))
                        && setup.addresses.allSatisfy { FreePort.answers($0, tlsPort ?? port) }
                }
            } catch {
                // Most likely another process took the port between the look and the bind.
                failure = "\(error)\n\(process.transcript)"
                continue
            }
            (self.port, self.tlsPort, self.process) = (port, tlsPort, process)
            return
        }
        throw KitError("nginx did not start: \(failure)")
    }

    deinit { stop() }

    /// Waits until its processes are gone; its ports refuse from then on.
    public func stop() {
        process.kill(.terminate)
        _ = try? process.wait(atMost: .seconds(10))  // it was killed then: gone all the same
    }

    /// `http://127.0.0.1:PORT/PATH`, or https on the TLS port, at address number `host`.
    public func url(_ path: String, host: Int = 0, tls: Bool = false) -> String {
        let path = path.hasPrefix("/") ? path : "/\(path)"
        let port = tls ? tlsPort ?? 0 : port
        return "\(tls ? "https" : "http")://\(setup.addresses[host]):\(port)\(path)"
    }

    /// Puts a file below the document root.
    @discardableResult
    public func add(_ name: String, _ bytes: some Sequence<UInt8>) throws -> String {
        let path = "\(root)/\(name)"
        try FileTree.write(Array(bytes), to: path)
        return path
    }

    /// All answers so far, in the order of their ends.
    public func log() throws -> [Entry] {
        let decoder = JSONDecoder()
        return try FileTree.lines(directory.sub("access.log")).map { line in
            try decoder.decode(Entry.self, from: Data(line.utf8))
        }
    }

    /// How many connections carried the answers so far.
    public func connectionCount() throws -> Int { Set(try log().map(\.connection)).count }

    public func errorLog() -> String {
        (try? FileTree.text(directory.sub("error.log"))) ?? ""  // not there: no error yet
    }
}
