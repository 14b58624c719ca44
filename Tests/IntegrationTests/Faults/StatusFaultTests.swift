// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import Foundation
import JobModel
import TestKit
import Testing

/// Servers that ask to wait or refuse: rows H34 to H38.
@Suite struct StatusFaultTests {
    @Test func `H34 Retry-After holds its own host for as long as it says and no other`() async throws {
        try await FaultCase.play { _, server in
            let other = try ScriptedServer()
            for (path, status) in [("/a", 503), ("/b", 429)] {
                server.route(
                    path, ScriptedReply(status, headers: [("Retry-After", "1")]),
                    ScriptedReply(body: "x".utf8))
            }
            other.routeAll { _ in ScriptedReply(body: "y".utf8) }
            return FaultCase(
                [
                    .done(server.url("a"), "x".utf8, name: "a", attempts: 1...2),
                    .done(server.url("b"), "x".utf8, name: "b", attempts: 1...2),
                    .done(other.url("c"), "y".utf8, name: "c"),
                ], requests: 4...4
            ) { _ in
                let times = server.requests.map(\.arrived)
                // A scout alone meets the first refusal; whatever follows it has waited.
                return times[1] - times[0] >= .milliseconds(990) ? [] : ["asked again before its time"]
            }.keeping(other)
        }
    }

    @Test func `H35 dates to come are heeded, past ones are none, and the year 9999 is an hour at most`()
        async throws
    {
        try await FaultCase.play { _, server in
            let (past, far) = (try ScriptedServer(), try ScriptedServer())
            @Sendable func refusing(_ date: String) -> ScriptedReply {
                ScriptedReply(503, headers: [("Retry-After", date)])
            }
            past.route("/f", refusing("Thu, 01 Jan 1998 00:00:00 GMT"), ScriptedReply(body: "p".utf8))
            far.route("/f", refusing("Fri, 31 Dec 9999 23:59:59 GMT"), ScriptedReply(body: "f".utf8))
            server.route("/f") { _ in
                guard server.requests.count == 1 else { return ScriptedReply(body: "s".utf8) }
                return refusing(httpDate(secondsFromNow: 3))
            }
            return FaultCase(
                [
                    .done(server.url("f"), "s".utf8, name: "s", attempts: 1...2),
                    .done(past.url("f"), "p".utf8, name: "p", attempts: 1...2),
                    .done(far.url("f"), "f".utf8, name: "f", attempts: 1...2),
                ], requests: 2...2
            ) { _ in
                // A date has whole seconds: three from now is at least two.
                let times = server.requests.map(\.arrived)
                return times[1] - times[0] >= .milliseconds(1900) ? [] : ["asked again before its date"]
            }.during { try release(far, of: $1, $0) }.keeping(past)
        }
    }

    @Test func `H36 a Retry-After that is no number is none, and one beyond all bounds is an hour at most`()
        async throws
    {
        try await FaultCase.play { _, _ in
            let huge = ["9223372036854775807", "99999999999999999999"]
            let values = ["abc", "-5", "1.5", "12abc"] + huge
            let servers = try values.map { value in
                let server = try ScriptedServer()
                server.route(
                    "/f", ScriptedReply(503, headers: [("Retry-After", value)]),
                    ScriptedReply(body: value.utf8))
                return server
            }
            return FaultCase(
                zip(values, servers).map {
                    .done($1.url("f"), $0.utf8, name: $0, attempts: 1...2)
                }
            ) { _ in
                servers.filter { $0.requests.count != 2 }.map { "\($0.requests.count) requests" }
            }.during { daemon, list in
                for server in servers.suffix(huge.count) { try release(server, of: list, daemon) }
            }
        }
    }

    @Test func `H37 what a server may mend is tried again, and its error page is no part of the file`()
        async throws
    {
        try await FaultCase.play { _, server in
            let statuses = [408, 425, 500, 502, 504]
            for status in statuses {
                server.route(
                    "/\(status)", ScriptedReply(status, body: "sorry".utf8), ScriptedReply(body: "x".utf8))
            }
            server.route("/always", ScriptedReply(500, body: "sorry".utf8))
            return FaultCase(
                statuses.map {
                    .done(server.url("\($0)"), "x".utf8, name: "\($0)", attempts: 2...2)
                } + [.failed(server.url("always"), "http_500", attempts: 3...3)], requests: 13...13)
        }
    }

    @Test func `H38 a refusal for good fails at once with its status`() async throws {
        try await FaultCase.play { _, server in
            let statuses = [400, 401, 403, 404, 405, 407, 410, 414, 451]
            for status in statuses { server.route("/\(status)", ScriptedReply(status, body: "no".utf8)) }
            return FaultCase(
                statuses.map { .failed(server.url("\($0)"), "http_\($0)") }, requests: 9...9)
        }
    }
}

/// Waits until the host is held, for an hour and a tenth at most; then lifts the hold and the job's own wait.
private func release(_ server: ScriptedServer, of list: String, _ daemon: RunningDaemon) throws {
    let key = "127.0.0.1:\(server.port)"
    let host = try eventuallySome("\(key) is held", context: { daemon.account }) {
        let answer = try UnixHTTP.get(daemon.socket, "/v1/hosts?limit=1000").body
        let page = try JSONDecoder().decode(PageDocument<HostDocument>.self, from: Data(answer.utf8))
        return page.items.first { $0.host == key && $0.isHeld }
    }
    let latest = Date().addingTimeInterval(3600 * 1.1)
    if let until = host.heldUntil, Double(until.time.rawValue) / 1000 > latest.timeIntervalSince1970 {
        throw KitError("held until \(until)")
    }
    // The job may be on its way to its own wait still: asked until it has run.
    try eventually("\(key) was asked again", context: { daemon.account }) {
        for action in ["hosts/\(key)/release", "lists/\(list)/retry"] {
            let answer = try UnixHTTP.request(daemon.socket, "POST", "/v1/\(action)")
            guard answer.status < 500 else { throw KitError("\(action): \(answer)") }
        }
        return server.requests.count > 1
    }
}

/// An HTTP-date, as a server's clock makes it.
private func httpDate(secondsFromNow seconds: Double) -> String {
    let format = DateFormatter()
    format.locale = Locale(identifier: "en_US_POSIX")
    format.timeZone = TimeZone(identifier: "GMT")
    format.dateFormat = "EEE, dd MMM yyyy HH:mm:ss 'GMT'"
    return format.string(from: Date().addingTimeInterval(seconds))
}
