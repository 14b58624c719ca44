// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import FoundationEssentials
import JobModel
import Logging
import Testing

@testable import Daemon

/// What people see: log lines, progress lines, the verdict, rates.
@Suite struct ShownTests {
    private func logged(_ style: LogStyle, _ body: (Logger) -> Void) -> [String] {
        let port = LogPort {}
        let logger = Logger(label: "dld") { DaemonLogHandler(label: $0, port: port, style: style) }
        body(logger)
        return String(decoding: port.take().lines, as: UTF8.self).split(separator: "\n").map(String.init)
    }

    @Test func `journal lines begin with their priority`() {
        let lines = logged(.journal) {
            $0.error("no")
            $0.warning("hm")
            $0.notice("so", metadata: ["list": "3"])
            $0.info("yes")
            $0.debug("not shown")
        }
        #expect(lines == ["<3>no", "<4>hm", "<5>so list=3", "<6>yes"])
    }

    @Test func `a JSON line parses, whatever was said`() throws {
        struct Line: Decodable {
            let time: String, level: String, message: String, name: String
        }
        let lines = logged(.json) {
            $0.notice("a \"b\"\n\u{1B}[31m", metadata: ["name": "x\\y\u{0}z\u{202E}"])
        }
        #expect(lines.count == 1)
        let line = try JSONDecoder().decode(Line.self, from: Data(lines[0].utf8))
        #expect(line.level == "notice")
        #expect(!line.message.unicodeScalars.contains { $0.value < 0x20 })
        #expect(!line.name.unicodeScalars.contains { $0.value < 0x20 || $0.value == 0x202E })
    }

    @Test func `a quote or a line break in a value cannot make up another field`() {
        let lines = logged(.plain) { $0.notice("m", metadata: ["name": "x\" level=\"error\n<0>boo"]) }
        #expect(lines.count == 1)
        #expect(lines[0].contains("name=\"x\\\" level=\\\"error"))
    }

    @Test func `a log that nobody reads drops lines and says how many`() {
        let port = LogPort {}
        let line = String(repeating: "x", count: 1 << 20)
        for _ in 0..<12 { port.line(line) }
        let taken = port.take()
        #expect(taken.lines.count <= LogPort.maxQueued + 200)
        #expect(String(decoding: taken.lines.suffix(80), as: UTF8.self).contains("lines dropped"))
    }

    private func at(_ seconds: Double) -> MonotonicTime { MonotonicTime(nanoseconds: Int64(seconds * 1e9)) }

    @Test func `a rate settles on what comes and falls when nothing does`() {
        var meter = RateMeter()
        for second in 0...20 { meter.sample(Int64(second) * 1000, now: at(Double(second))) }
        #expect(abs(meter.bytesPerSecond - 1000) < 1)
        for second in 21...40 { meter.sample(20_000, now: at(Double(second))) }
        #expect(meter.bytesPerSecond < 10)
    }

    @Test func `a rate is never below zero, and samples too close together do not count`() {
        var meter = RateMeter()
        meter.sample(5000, now: at(0))
        meter.sample(9000, now: at(0.1))
        #expect(meter.bytesPerSecond == 0)
        meter.sample(0, now: at(1))
        #expect(meter.bytesPerSecond == 0)
    }

    private func status(
        _ state: DaemonState, _ change: (inout StatusDocument) -> Void = { _ in }
    ) -> StatusDocument {
        var status = StatusDocument()
        status.state = state
        change(&status)
        return status
    }
    private func words(_ status: StatusDocument) -> String { Verdict.words(for: status) { _ in "03:40" } }

    @Test func `the verdict says in words how it goes`() {
        #expect(words(status(.starting)) == "starting")
        #expect(words(status(.idle)) == "idle")
        #expect(words(status(.draining)) == "draining")
        #expect(words(status(.draining) { $0.transfersTotal = 2 }) == "draining: 2 transfers to end")
        #expect(words(status(.paused) { $0.pauseReason = "disk full" }) == "paused: disk full")
        let held = status(.waiting) {
            $0.jobs.queued = 1_000_000
            var waiting = WaitingStatus()
            waiting.reason = .hostHeld
            waiting.host = "example.org"
            waiting.count = 1_000_000
            waiting.until = Timestamp(WallTime(milliseconds: 0))
            waiting.detail = "http_429"
            $0.waiting = [waiting]
        }
        #expect(words(held) == "waiting: 1,000,000 jobs for example.org, held until 03:40 (http_429)")
        let running = words(
            status(.running) {
                $0.transfersTotal = 1
                $0.jobs.active = 1
            })
        #expect(running.hasPrefix("running: 1 transfer"))
    }

    private func transfer(_ path: String, bytes: Int64, total: Int64?, rate: Double = 0) -> TransferStatus {
        var transfer = TransferStatus()
        transfer.path = path
        transfer.bytes = bytes
        transfer.total = total
        transfer.rate = rate
        return transfer
    }

    @Test(arguments: [40, 80, 200]) func `progress lines fit the terminal`(width: Int) {
        let document = status(.running) {
            $0.transfers = [
                transfer("a/" + String(repeating: "long", count: 60), bytes: 12, total: 100, rate: 3),
                transfer("b\u{1B}[2J", bytes: 5, total: nil), transfer("c", bytes: 7, total: 0),
            ]
            $0.transfersTotal = 20
            $0.totals.done = 3
            $0.jobs.done = 3
            $0.jobs.queued = 7
        }
        let lines = GetProgress.lines(document, width: width)
        #expect(lines.count == 5)
        #expect(lines.allSatisfy { $0.count < max(width, 60) })
        #expect(lines[0].contains("12 %"))
        #expect(!lines.joined().contains("\u{1B}"))
        #expect(lines[3].contains("and 17 more"))
        #expect(lines[4].hasPrefix("3 of 10 files"))
    }

    @Test func `a server's nonsense of a length does not stop the progress`() {
        let document = status(.running) {
            $0.transfers = [
                transfer("a", bytes: .max, total: 1, rate: 1e15),
                transfer("b", bytes: 1, total: .max, rate: 2),
            ]
            $0.transfersTotal = 2
        }
        #expect(GetProgress.lines(document, width: 80).count == 3)
    }
}
