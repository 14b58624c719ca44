// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

/// How many orders are staged for a host whose transfers took so long.
struct GaugeCase: Sendable, CustomTestStringConvertible {
    let name: String
    let times: [Duration]
    let active: Int
    let depth: Int
    var testDescription: String { name }
    init(_ name: String, _ times: [Duration], active: Int, depth: Int) {
        self.name = name
        self.times = times
        self.active = active
        self.depth = depth
    }
}

private let depths: [GaugeCase] = [
    GaugeCase("nothing is known", [], active: 6, depth: 0),
    GaugeCase("as quick as can be", [.zero], active: 2, depth: 16),
    GaugeCase("half a millisecond each", [.microseconds(500)], active: 3, depth: 24),
    GaugeCase(
        "a dozen run: no more at hand than a worker needs", [.microseconds(500)], active: 12, depth: 20),
    GaugeCase("many run: the connections are enough", [.microseconds(500)], active: 64, depth: 0),
    GaugeCase("two milliseconds each", [.milliseconds(2)], active: 3, depth: 12),
    GaugeCase("eight milliseconds each", [.milliseconds(8)], active: 3, depth: 3),
    GaugeCase("nine milliseconds each", [.milliseconds(9)], active: 3, depth: 0),
    GaugeCase("none runs there", [.milliseconds(1)], active: 0, depth: 0),
    GaugeCase(
        "one long file among short ones", Array(repeating: .milliseconds(1), count: 20) + [.seconds(5)],
        active: 6, depth: 0),
    GaugeCase(
        "short ones after a long one",
        [.milliseconds(200)] + Array(repeating: .milliseconds(1), count: 60), active: 1, depth: 7),
    GaugeCase("a clock that went back", [.seconds(-1), .milliseconds(1)], active: 1, depth: 8),
    GaugeCase("a time beyond all bounds", [.seconds(Int64.max), .zero], active: 1, depth: 0),
]

/// What the end of a transfer is to what is staged.
struct StageVerdictCase: Sendable, CustomTestStringConvertible {
    let name: String
    let end: AdaptiveCap.End
    let keeps: Bool
    let leads: Bool
    let waits: Bool
    let verdict: StageGauge.Verdict
    var testDescription: String { name }
    init(
        _ name: String, _ end: AdaptiveCap.End, keeps: Bool = false, leads: Bool = false, waits: Bool = false,
        _ verdict: StageGauge.Verdict
    ) {
        self.name = name
        self.end = end
        self.keeps = keeps
        self.leads = leads
        self.waits = waits
        self.verdict = verdict
    }
}

private let verdicts: [StageVerdictCase] = [
    StageVerdictCase("a file", .success, keeps: true, .succeeds),
    StageVerdictCase("a 404", .success, keeps: true, .succeeds),
    StageVerdictCase("a redirect", .success, keeps: true, leads: true, .stays),
    StageVerdictCase("a file, and the quota is used up", .success, keeps: true, waits: true, .closes),
    StageVerdictCase("a 500", .neutral, keeps: true, .stays),
    StageVerdictCase("a 500 that asks to wait", .neutral, keeps: true, waits: true, .closes),
    StageVerdictCase("a 503", .trouble, keeps: true, .closes),
    StageVerdictCase("a connection that broke", .trouble, .closes),
    StageVerdictCase("cancelled", .neutral, .stays),
    StageVerdictCase("refused by policy, the connection closed", .success, .stays),
]

@Suite struct StageGaugeTests {
    @Test(arguments: depths)
    func `orders are staged only for hosts whose files are short`(_ row: GaugeCase) {
        var gauge = StageGauge()
        for time in row.times { gauge.ended(after: time) }
        #expect(gauge.depth(active: row.active) == row.depth)
    }

    @Test(arguments: verdicts)
    func `only after a whole answer one begins by itself`(_ row: StageVerdictCase) {
        #expect(
            StageGauge.verdict(row.end, keepsConnection: row.keeps, leads: row.leads, asksToWait: row.waits)
                == row.verdict)
    }

    @Test func `a host whose staged orders waited is left alone until its files are short again`() {
        var gauge = StageGauge()
        gauge.ended(after: .milliseconds(1))
        #expect(gauge.depth(active: 1) == 8)
        gauge.outwaited()
        #expect(gauge.depth(active: 1) == 0)
        for _ in 0..<40 { gauge.ended(after: .milliseconds(1)) }
        #expect(gauge.depth(active: 1) > 0)
    }

    private let now = MonotonicTime(nanoseconds: 0)

    private func serving(_ connections: Int = 2, rate: Double? = nil) -> HostMachine {
        var host = HostMachine(
            caps: .init(connections: connections, streams: 8, requestsPerSecond: rate))
        let role = host.started(now: now)
        _ = host.answered(isHTTP2: false, isUsable: true, to: role)
        return host
    }

    @Test func `nothing is staged for a cold host, a pace, HTTP/2, after trouble, or beside segments`() {
        #expect(!HostMachine(caps: .init(connections: 2, streams: 8, requestsPerSecond: nil)).takesStaged)
        #expect(serving().takesStaged)
        #expect(!serving(rate: 5).takesStaged)
        var shared = serving()
        _ = shared.answered(isHTTP2: true, isUsable: true, to: .ordinary)
        #expect(!shared.takesStaged)
        var held = serving()
        held.hold(until: MonotonicTime(nanoseconds: 5), reason: "http_429")
        #expect(!held.takesStaged)
        var refusing = serving(6)
        refusing.finished(.ordinary, .trouble)
        #expect(!refusing.takesStaged)
        var divided = serving()
        divided.segmentStarted(now: now)
        #expect(!divided.takesStaged)
    }

    @Test func `nothing is staged while more run than may`() {
        var host = serving(2)
        _ = host.started(now: now)
        #expect(host.takesStaged)
        host.caps = .init(connections: 1, streams: 8, requestsPerSecond: nil)
        #expect(!host.takesStaged)
    }
}
