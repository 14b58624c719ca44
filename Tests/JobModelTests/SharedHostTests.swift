// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

/// Segments of files that share their host's line: what one gains the others may lose.
@Suite struct SharedHostTests {
    /// Connections at once to a host that brings so many bytes a second with them, over a minute of `files` large files;
    /// each change.
    private func counts(files: Int, cap: Int = 64, _ rate: (Int) -> Double) -> [Int] {
        var now = MonotonicTime(nanoseconds: 0)
        var host = HostMachine(caps: .init(connections: cap, streams: 1, requestsPerSecond: nil))
        _ = host.started(now: now)
        host.answered(isHTTP2: false, isUsable: true, to: .scout)
        host.opened()
        for _ in 1..<files { _ = host.started(now: now) }
        var counts: [Int] = []
        for _ in 0..<240 {
            while !host.isShared, host.segmentVerdict(now: now) == .start { host.segmentStarted(now: now) }
            let count = host.active + host.segments
            if counts.last != count { counts.append(count) }
            now = now + .milliseconds(250)
            host.progressed(Int64(rate(count) / 4), now: now)
            while host.hasSurplus, host.segments > 0 { host.segmentEnded(.neutral) }
        }
        return counts
    }

    @Test func `together they have eight, and more after a while where all together bring more`() {
        #expect(counts(files: 3) { Double($0) * 2e6 } == [8, 16, 32, 64])
        #expect(counts(files: 3, cap: 6) { Double($0) * 2e6 } == [6])
    }

    @Test func `on a full line more are tried and given back`() {
        #expect(counts(files: 3) { _ in 2e8 }.prefix(3) == [8, 16, 8])
    }

    @Test func `as many files as that have a connection each`() {
        #expect(counts(files: 8) { _ in 2e8 }.first == 8)
        #expect(counts(files: 12) { _ in 2e8 } == [12])
    }

    @Test func `a file alone has what it finds of use itself`() {
        #expect(counts(files: 1) { _ in 2e8 } == [64])
    }
}
