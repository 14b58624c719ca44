// SPDX-License-Identifier: Apache-2.0

import TestKit
import Testing

private let bytes = sample(24, 60_000)
private let other = sample(25, 60_000)
private let file = ScriptedFile(bytes, etag: "\"v1\"")

extension ScriptedServer {
    /// The first answer breaks off in the middle; what comes then, asked for by range or not, is the case's.
    fileprivate func breaksOff(
        _ path: String = "/f", etag: String? = "\"v1\"", after latch: Latch? = nil,
        then answer: @escaping Handler
    ) {
        route(path) { request in
            guard self.count(path) == 1 else { return answer(request) }
            latch?.wait(atMost: .seconds(60) * Patience.factor)
            var first = ScriptedFile(bytes, etag: etag).reply(to: .plain)
            first.ending = .cut(after: 30_000)
            return first
        }
    }
}

/// The honest 206 with something changed.
private func partial(
    _ request: ScriptedRequest, range: String? = nil, etag: String? = "\"v1\"", body: [UInt8]? = nil
) -> ScriptedReply {
    guard let from = request.range?.first else { return file.reply(to: request) }
    let fields = [
        range.map { ("Content-Range", $0) } ?? ("Content-Range", "bytes \(from)-59999/60000"),
        ("ETag", etag ?? ""),
    ].filter { !$0.1.isEmpty }
    return ScriptedReply(206, headers: fields, body: body ?? Array(bytes[from...]))
}

/// Ranged answers that are not what was asked for: rows H24 to H33. Each file breaks off once; what counts is that
/// no byte of one version stands beside a byte of another, and that the job is done all the same.
@Suite struct RangeFaultTests {
    @Test func `H24 a range answered with 200 starts from zero`() async throws {
        try await FaultCase.play { _, server in
            server.breaksOff { _ in file.reply(to: .plain) }
            return FaultCase(
                [.done(server.url("f"), bytes, attempts: 2...2, resumed: 0...0)], requests: 2...2,
                sent: 90_000...90_000)
        }
    }

    @Test func `H25 a 200 with a new version replaces the part and fails nothing`() async throws {
        try await FaultCase.play { _, server in
            server.breaksOff { ScriptedFile(other, etag: "\"v2\"").reply(to: $0) }
            return FaultCase(
                [.done(server.url("f"), other, attempts: 2...2, resumed: 0...0)], requests: 2...2,
                sent: 90_000...90_000)
        }
    }

    @Test(arguments: ["bytes 0-29999/60000", "bytes 30001-59999/60000", "bytes x-y/z", "chars 0-1/2"])
    func `H26 a 206 with another Content-Range is not believed, and its host is asked for no range again`(
        range: String
    ) async throws {
        try await FaultCase.play("\(#function) \(range)") { _, server in
            let hasLied = Latch()
            server.breaksOff("/liar") { request in
                guard request.range == nil else { return partial(request, range: range) }
                hasLied.open()
                return file.reply(to: request)
            }
            // Breaks off once the lie is known, told by the liar being asked for whole: what is missing here is
            // asked for whole too.
            server.breaksOff("/again", after: hasLied) { file.reply(to: $0) }
            return FaultCase(
                [
                    .done(server.url("liar"), bytes, name: "liar", attempts: 2...2, resumed: 0...0),
                    .done(server.url("again"), bytes, name: "again", attempts: 2...2, resumed: 0...0),
                ], requests: 5...5
            ) { _ in
                let ranges = server.requests.compactMap { $0.header("range") }
                let whole = server.requests("/liar").map { $0.range?.first }
                var wrong = ranges == ["bytes=30000-"] ? [] : ["ranges \(ranges)"]
                if whole != [nil, 30_000, nil] { wrong.append("the liar was asked for \(whole)") }
                return wrong
            }
        }
    }

    @Test func `H27 a 206 without a Content-Range is not believed`() async throws {
        try await FaultCase.play { _, server in
            server.breaksOff { partial($0, range: "") }
            return FaultCase(
                [.done(server.url("f"), bytes, attempts: 2...2, resumed: 0...0)], requests: 3...3)
        }
    }

    @Test func `H28 a 206 shorter than asked is asked for the rest`() async throws {
        try await FaultCase.play { _, server in
            server.breaksOff { request in
                guard let from = request.range?.first else { return file.reply(to: request) }
                let end = min(from + 9000, 60_000)
                return partial(
                    request, range: "bytes \(from)-\(end - 1)/60000", body: Array(bytes[from..<end]))
            }
            // 30,000 bytes, then 9,000 three times, then the last 3,000: each byte once.
            return FaultCase(
                [.done(server.url("f"), bytes, attempts: 2...2)], requests: 5...5, sent: 60_000...60_000
            ) { _ in
                let asked = server.requests.map { $0.range?.first ?? 0 }
                return asked == [0, 30_000, 39_000, 48_000, 57_000] ? [] : ["asked from \(asked)"]
            }
        }
    }

    @Test func `H29 a 206 of many parts is not believed`() async throws {
        try await FaultCase.play { _, server in
            server.breaksOff { request in
                guard request.range != nil else { return file.reply(to: request) }
                let part = "--x\r\nContent-Range: bytes 30000-59999/60000\r\n\r\n"
                return ScriptedReply(
                    206, headers: [("Content-Type", "multipart/byteranges; boundary=x"), ("ETag", "\"v1\"")],
                    body: Array(part.utf8) + bytes[30_000...] + "\r\n--x--\r\n".utf8)
            }
            return FaultCase(
                [.done(server.url("f"), bytes, attempts: 2...2, resumed: 0...0)], requests: 3...3)
        }
    }

    @Test func `H30 a 206 that tells another total is of another file`() async throws {
        try await FaultCase.play { _, server in
            let longer = sample(30, 70_000)
            server.breaksOff { request in
                guard let from = request.range?.first else {
                    return ScriptedFile(longer, etag: "\"v2\"").reply(to: request)
                }
                return partial(
                    request, range: "bytes \(from)-69999/70000", body: Array(longer[from...]))
            }
            return FaultCase(
                [.done(server.url("f"), longer, attempts: 2...2, resumed: 0...0)], requests: 3...3)
        }
    }

    @Test func `H31 a validator that changed, or a weak one, never joins two versions`() async throws {
        try await FaultCase.play { _, server in
            server.breaksOff("/honest") { ScriptedFile(other, etag: "\"v2\"").reply(to: $0) }
            // Ignores If-Range: only the ETag of the 206 tells.
            server.breaksOff("/rude") { request in
                guard let from = request.range?.first else {
                    return ScriptedFile(other, etag: "\"v2\"").reply(to: request)
                }
                return partial(request, etag: "\"v2\"", body: Array(other[from...]))
            }
            server.breaksOff("/weak", etag: "W/\"v1\"") {
                ScriptedFile(other, etag: "W/\"v2\"").reply(to: $0)
            }
            return FaultCase(
                ["honest", "rude", "weak"].map {
                    .done(server.url($0), other, name: $0, attempts: 2...2, resumed: 0...0)
                }, requests: 6...8
            ) { _ in
                let weak = server.requests("/weak").contains {
                    $0.header("if-range")?.hasPrefix("W/") ?? false
                }
                return weak ? ["a weak validator in If-Range"] : []
            }
        }
    }

    /// What a 416 says of length and version, whether the list has a digest, and whether that settles it.
    private static let refusals: [(range: String?, etag: String?, hasDigest: Bool, isSettled: Bool)] = [
        ("bytes */60000", "\"v1\"", false, true), ("bytes */60000", "\"v1\"", true, true),
        (nil, "\"v1\"", false, false), ("bytes */59999", "\"v1\"", false, false),
        ("bytes */60000", "\"v2\"", false, false), (nil, "\"v1\"", true, false),
        ("bytes */60000", nil, false, false),
    ]

    @Test(arguments: refusals)
    func `H32 a 416 to a part that has all of the file is settled by size and version, else from zero`(
        range: String?, etag: String?, hasDigest: Bool, isSettled: Bool
    ) async throws {
        let name = "\(#function) \(range ?? "-") \(etag ?? "-") \(hasDigest)"
        try await FaultCase.play(name) { _, server in
            // All bytes came, the last chunk did not: nothing is missing but the proof.
            server.route("/f") { request in
                if server.count("/f") == 1 {
                    var first = ScriptedReply(headers: [("ETag", "\"v1\"")], body: bytes)
                    first.length = .chunked(60_000)
                    first.ending = .cut(after: 60_008)
                    return first
                }
                guard request.range != nil else { return file.reply(to: request) }
                let fields = [("Content-Range", range), ("ETag", etag)]
                return ScriptedReply(
                    416, headers: fields.compactMap { name, value in value.map { (name, $0) } })
            }
            let options = hasDigest ? ["checksum=sha-256=\(try sha256(bytes))"] : []
            let (requests, resumed) = isSettled ? (2, 60_000) : (3, 0)
            return FaultCase(
                [
                    .done(
                        server.url("f"), bytes, options: options, attempts: 2...2, resumed: resumed...resumed)
                ], requests: requests...requests
            ) { _ in
                let asked = server.requests.map { $0.header("range") }
                let expected: [String?] = [nil, "bytes=60000-"] + (isSettled ? [] : [nil])
                return asked == expected ? [] : ["ranges \(asked)"]
            }
        }
    }

    @Test func `H33 a 416 to a part longer than the file starts over once, and then fails`() async throws {
        try await FaultCase.play { _, server in
            let shorter = sample(33, 20_000)
            server.breaksOff("/shorter") { ScriptedFile(shorter, etag: "\"v1\"").reply(to: $0) }
            server.breaksOff("/never") { _ in
                ScriptedReply(416, headers: [("Content-Range", "bytes */20000")])
            }
            return FaultCase(
                [
                    .done(server.url("shorter"), shorter, attempts: 2...2, resumed: 0...0),
                    .failed(server.url("never"), "http_416", attempts: 2...3),
                ], requests: 6...8)
        }
    }
}
