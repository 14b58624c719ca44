// SPDX-License-Identifier: Apache-2.0

import JobModel
import LinuxKit
import SystemPackage

/// Reads lists of digests into the ledger: one after the other, a batch at a time, at most two unacknowledged. Of a
/// list of any length one chunk and two batches are in memory.
final class DigestDesk {
    static let batchLines = 1000
    static let batchesOut = 2
    /// A longer line is none.
    static let longestLine = 64 << 10

    private final class Reading {
        let order: DigestReading
        var reader: DigestListReader
        var file: Descriptor?
        var rest: [UInt8] = []
        var skipsLine = false
        var isAtEnd = false
        var bytes: Int64 = 0
        var good = 0
        var bad = 0
        var bare: Checksum?
        var hasBegun = false
        var unanswered = 0
        init(_ order: DigestReading) {
            self.order = order
            reader = DigestListReader(hint: DigestAlgorithm(listName: order.source))
        }
    }

    private let context: SpoolContext
    private var readings: [Reading] = []

    init(context: SpoolContext) { self.context = context }

    var isReady: Bool { readings.first.map { !$0.isAtEnd && $0.unanswered < Self.batchesOut } ?? false }

    func add(_ order: DigestReading) { readings.append(Reading(order)) }

    /// A batch is committed.
    func taken(_ id: DigestListID) {
        guard let reading = readings.first, reading.order.id == id else { return }
        reading.unanswered -= 1
        finishIfDone(reading)
    }

    /// One bounded step.
    func step() {
        guard isReady, let reading = readings.first else { return }
        do throws(SystemError) {
            try read(reading)
            finishIfDone(reading)
        } catch {
            end(reading, .failure(JobError(.disk, "\(error)")))
        }
    }

    private func read(_ reading: Reading) throws(SystemError) {
        let order = reading.order
        let shown = Masking.url(order.source)
        if reading.file == nil {
            let tree = try DirectoryTree(root: FilePath(order.directory), capacity: 1)
            let file = try tree.open(FilePath(order.name), .readOnly, options: [.nonBlocking])
            guard try file.status(shown).kind == .regular else {
                return end(reading, .failure(JobError(.digestMissing, "\(shown) is no regular file")))
            }
            reading.file = consume file
        }
        var lines: [DigestBatch.Line] = []
        while lines.count < Self.batchLines, !reading.isAtEnd {
            let chunk = try context.heartbeat.within("read a list of digests") { () throws(SystemError) in
                try reading.file?.read(upTo: 64 << 10, shown) ?? []
            }
            reading.bytes += Int64(chunk.count)
            if let limit = order.limit, reading.bytes > limit {
                let why = "\(shown) is longer than limits.max_checksums_size, \(limit) bytes"
                return end(reading, .failure(JobError(.tooLarge, why)))
            }
            reading.isAtEnd = chunk.isEmpty
            split(chunk, reading, &lines)
        }
        if reading.isAtEnd, let bare = reading.bare, reading.good == 0 {
            lines.append(DigestBatch.Line(name: "", checksum: bare))
            reading.good = 1
        }
        send(lines, reading)
    }

    private func split(_ chunk: [UInt8], _ reading: Reading, _ lines: inout [DigestBatch.Line]) {
        let newline = UInt8(ascii: "\n")
        var start = 0
        while let end = chunk[start...].firstIndex(of: newline) {
            let line = reading.rest + chunk[start..<end]
            reading.rest = []
            if reading.skipsLine { reading.skipsLine = false } else { take(line, reading, &lines) }
            start = end + 1
        }
        reading.rest += chunk[start...]
        if reading.rest.count > Self.longestLine {
            reading.rest = []
            if !reading.skipsLine { reading.bad += 1 }
            reading.skipsLine = true
        }
        // A last line without a newline counts.
        if chunk.isEmpty, !reading.rest.isEmpty {
            take(reading.rest, reading, &lines)
            reading.rest = []
        }
    }

    private func take(_ line: [UInt8], _ reading: Reading, _ lines: inout [DigestBatch.Line]) {
        switch reading.reader.read(line) {
        case .entry(let entry):
            reading.good += 1
            guard let name = DigestNames.normalized(entry.name) else { return }
            lines.append(DigestBatch.Line(name: name, checksum: entry.checksum))
        case .bare(let checksum): reading.bare = reading.bare ?? checksum
        case .malformed: reading.bad += 1
        case .blank: break
        }
    }

    private func send(_ lines: [DigestBatch.Line], _ reading: Reading) {
        guard !lines.isEmpty || !reading.hasBegun else { return }
        context.ask(.digests(DigestBatch(id: reading.order.id, isFirst: !reading.hasBegun, lines: lines)))
        reading.hasBegun = true
        reading.unanswered += 1
    }

    private func finishIfDone(_ reading: Reading) {
        guard reading.isAtEnd, reading.unanswered == 0 else { return }
        let shown = Masking.url(reading.order.source)
        guard reading.good > 0 else {
            return end(reading, .failure(JobError(.digestMissing, "no line of \(shown) is a digest")))
        }
        if reading.bad > 0 {
            context.remark(.warning, "\(reading.bad) lines of \(shown) are no digests", file: "")
        }
        end(reading, .success(reading.good))
    }

    private func end(_ reading: Reading, _ result: Result<Int, JobError>) {
        readings.removeAll { $0 === reading }
        context.tell(.digestsRead(reading.order.id, result))
    }
}
