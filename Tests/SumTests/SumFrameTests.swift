// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

struct SumFrameTests {
    static let timings = SumTimings(queued: 1, run: 2, cpu: .max, worker: 4711)
    static let samples: [SumFrame] =
        [
            .sum(ticket: 1, from: 0, to: .max, submitted: -1),
            .cancel(ticket: .max), .ping(7), .pong(8), .progress(ticket: 9),
            .summed(ticket: 2, total: UInt128.max - 5, timings: timings),
            .failed(ticket: 3, fault: .oom, message: "read \u{1F30D}: Input/output error"),
            .failed(ticket: 4, fault: .unreadable, message: ""),
            .pool(workers: [1, 2, 3_000_000], restarts: 5, remark: "worker process 1 ended"),
            .pool(workers: [], restarts: 0, remark: "", confinement: .open("no seccomp")),
            .pool(workers: [1], restarts: 0, remark: "", confinement: .confined),
            .resize(processes: 17), .ready(.unknown), .ready(.confined), .ready(.open("why")),
        ]
        + [DigestSpan(offset: 0, length: 0), DigestSpan(offset: 1 << 40, length: nil)].compactMap { $0 }.map {
            .digest(ticket: 7, algorithm: .sha1, span: $0, rate: 1 << 50, submitted: 3)
        }
        + [DigestSpan(offset: 5, length: 256, pieceLength: 2)].compactMap { $0 }.map {
            .digest(ticket: 8, algorithm: .sha512, span: $0, submitted: 3)
        }
        + [
            .pieces(ticket: 9, digests: Array(0...255), timings: timings),
            .bundle(ticket: 10, algorithm: .md5, files: 1, bytes: .max, submitted: 4),
            .bundle(ticket: 10, algorithm: .sha256, files: BundleLimit.files, bytes: 0, submitted: 4),
            .bundled(
                ticket: 11,
                digests: [
                    .unreadable(errno: -1), .digest(Checksum(algorithm: .crc32c, bytes: [1, 2, 3, 4])),
                ],
                timings: timings),
        ]
        + DigestAlgorithm.allCases.flatMap { algorithm -> [SumFrame] in
            let bytes = (0..<algorithm.byteCount).map { UInt8($0) }
            return [
                .digest(ticket: 5, algorithm: algorithm, submitted: 12),
                .digested(
                    ticket: 6, checksum: Checksum(algorithm: algorithm, bytes: bytes), timings: timings),
            ]
        }

    @Test(arguments: samples) func `a frame comes back as it went`(frame: SumFrame) throws {
        #expect(try SumFrame.frames(in: frame.packet) == [frame])
    }

    @Test func `many frames share a packet in order`() throws {
        var packet: [UInt8] = []
        for frame in Self.samples { frame.append(to: &packet) }
        #expect(try SumFrame.frames(in: packet) == Self.samples)
        #expect(try SumFrame.frames(in: []).isEmpty)
    }

    @Test(arguments: samples) func `a frame cut anywhere is torn`(frame: SumFrame) {
        let packet = frame.packet
        for length in 1..<packet.count {
            #expect(throws: SumFrameError.torn) { try SumFrame.frames(in: Array(packet.prefix(length))) }
        }
    }

    @Test(arguments: samples) func `a frame with a byte too many is refused`(frame: SumFrame) {
        var packet = frame.packet
        packet.append(0)
        #expect(throws: SumFrameError.torn) { try SumFrame.frames(in: packet) }
        packet[0] += 1
        #expect(throws: SumFrameError.self) { try SumFrame.frames(in: packet) }
    }

    @Test func `lengths beyond the limits are refused before anything is read`() {
        #expect(throws: SumFrameError.tooLong) { try SumFrame.frames(in: [0xFF, 0xFF, 0xFF, 0xFF, 1]) }
        #expect(throws: SumFrameError.torn) { try SumFrame.frames(in: [0, 0, 0, 0]) }
        let packet = [UInt8](repeating: 0, count: SumFrame.packetLimit + 1)
        #expect(throws: SumFrameError.tooLong) { try SumFrame.frames(in: packet) }
    }

    @Test func `unknown kinds and values are refused`() throws {
        #expect(throws: SumFrameError.unknownKind(99)) { try SumFrame.frames(in: [1, 0, 0, 0, 99]) }
        var unknownAlgorithm = SumFrame.digest(ticket: 1, algorithm: .md5, submitted: 0).packet
        unknownAlgorithm[unknownAlgorithm.count - 1] = 77
        #expect(throws: SumFrameError.badField) { try SumFrame.frames(in: unknownAlgorithm) }
        // Kind, ticket and time come before the span.
        for (place, byte) in [(4 + 1 + 16 + 7, UInt8(0x80)), (4 + 1 + 24 + 7, 0xFF)] {
            var badSpan = SumFrame.digest(
                ticket: 1, algorithm: .md5, span: try #require(DigestSpan(offset: 9, length: .max - 9)),
                submitted: 0
            ).packet
            badSpan[place] = byte
            if byte == 0xFF {
                // A length beyond the largest offset.
                for low in 1...7 { badSpan[place - low] = 0xFE }
            }
            #expect(throws: SumFrameError.badField) { try SumFrame.frames(in: badSpan) }
        }
        let downwards = SumFrame.sum(ticket: 1, from: 9, to: 3, submitted: 0).packet
        #expect(throws: SumFrameError.badField) { try SumFrame.frames(in: downwards) }
    }

    @Test func `garbage never traps`() {
        var generator = SplitMix(state: 1)
        for _ in 0..<5000 {
            var packet = Self.samples[Int(generator.next() % UInt64(Self.samples.count))].packet
            for _ in 0..<(1 + generator.next() % 4) {
                packet[Int(generator.next() % UInt64(packet.count))] = UInt8(
                    truncatingIfNeeded: generator.next())
            }
            // Only that it returns matters: a changed number is still a number.
            _ = try? SumFrame.frames(in: packet)  // refused is as good as read
        }
    }

    @Test func `a text that is too long is cut, not refused`() throws {
        let frame = SumFrame.failed(
            ticket: 1, fault: .unreadable, message: String(repeating: "x", count: 100_000))
        guard case .failed(_, _, let message) = try #require(try SumFrame.frames(in: frame.packet).first)
        else {
            Issue.record("another kind came back")
            return
        }
        #expect(message.utf8.count == 1024)
    }
}

struct RestartPolicyTests {
    @Test func `delays double up to the limit and start over after a healthy life`() {
        var policy = RestartPolicy(
            firstDelay: .milliseconds(100), maxDelay: .seconds(1), healthyAfter: .seconds(60))
        let delays = (0..<6).map { _ in policy.delay(afterLiving: .seconds(1)) }
        #expect(delays == [100, 200, 400, 800, 1000, 1000].map { .milliseconds($0) })
        #expect(policy.failures == 6)
        #expect(policy.delay(afterLiving: .seconds(60)) == .milliseconds(100))
        for _ in 0..<5000 { #expect(policy.delay(afterLiving: .zero) <= .seconds(1)) }
    }
}
