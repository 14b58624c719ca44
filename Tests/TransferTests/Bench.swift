// SPDX-License-Identifier: Apache-2.0

import Curl
import Glibc
import JobModel
import Locking
import TestKit
import Transfer

/// A worker, its directories and what it reported: one a test.
final class WorkerBench {
    let folder: String
    let parts: String
    let output: String
    private let worker: TransferWorker
    private let log = EventLog()
    private var nextToken: UInt64 = 1

    init(
        totalLimiter: RateLimiter? = nil, makesParts: Bool = true, checkpointBytes: Int64 = 16 << 20
    ) {
        var template = Array("/tmp/dld-transfer-XXXXXX".utf8CString)
        folder = template.withUnsafeMutableBufferPointer { String(cString: mkdtemp($0.baseAddress!)) }
        output = folder + "/out"
        parts = output + "/.dld/parts"
        mkdir(output, 0o755)
        mkdir(output + "/.dld", 0o755)
        if makesParts { mkdir(parts, 0o700) }
        _ = Self.isReady
        let log = log
        worker = TransferWorker.start(
            index: 3,
            settings: TransferSettings(
                partsDirectory: parts, outputRoot: output, totalLimiter: totalLimiter,
                checkpointBytes: checkpointBytes),
            events: { log.take($0) })
    }

    private static let isReady: Bool = {
        do { try CurlGlobal.initialize() } catch { preconditionFailure("\(error)") }
        return true
    }()

    /// Ends the thread and removes the directories.
    func close() {
        worker.send(.stop(keepsParts: false))
        worker.join()
        for name in names(in: parts) { unlink(parts + "/" + name) }
        for name in names(in: output) { unlink(output + "/" + name) }
        rmdir(parts)
        rmdir(output + "/.dld")
        rmdir(output)
        rmdir(folder)
    }

    /// The job of all orders here.
    static let job = JobID(rawValue: 12)

    /// An order for this URL that loopback may answer; its part is named as the dispatcher would.
    func order(_ url: String, _ change: (inout TransferOrder) -> Void = { _ in }) throws -> TransferOrder {
        let parsed = try ParsedURL.parse(url)
        let download = DownloadURL(
            text: parsed.text, scheme: parsed.scheme, host: HostKey(parsed.hostKeyText))
        var order = TransferOrder(token: nextToken, seq: JobSeq(12), url: download, partName: "")
        nextToken += 1
        change(&order)
        if order.partName.isEmpty {
            order.partName = PartName(of: Self.job, after: order.resume?.part).description
        }
        return order
    }

    func send(_ command: TransferCommand) { worker.send(command) }

    /// Starts it and waits for its end.
    func run(_ order: TransferOrder) -> TransferReport {
        worker.send(.start(order))
        return report(order.token)
    }
    func run(_ url: String, _ change: (inout TransferOrder) -> Void = { _ in }) throws -> TransferReport {
        run(try order(url, change))
    }
    /// Waits for the end of a transfer.
    func report(_ token: UInt64) -> TransferReport {
        log.wait { events in
            for case .finished(let report) in events where report.token == token { return report }
            return nil
        }
    }
    /// Waits until some event is of this kind.
    @discardableResult
    func wait<Answer: Sendable>(_ find: @Sendable ([TransferEvent]) -> Answer?) -> Answer { log.wait(find) }
    var events: [TransferEvent] { log.events }

    /// Of a part; without a name of the only one there is.
    func content(_ name: String? = nil) -> [UInt8]? {
        let all = names(in: parts)
        guard let name = name ?? (all.count == 1 ? all[0] : nil) else { return nil }
        let fd = open(parts + "/" + name, O_RDONLY)
        guard fd >= 0 else { return nil }
        defer { Glibc.close(fd) }
        var bytes: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            let count = read(fd, &block, block.count)
            if count <= 0 { return bytes }
            bytes += block[..<count]
        }
    }

    func names(in directory: String) -> [String] {
        guard let handle = opendir(directory) else { return [] }
        defer { closedir(handle) }
        var names: [String] = []
        while let entry = readdir(handle) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names
    }
}

/// Everything a worker told, with a bell for who waits. Waiting is bounded: a hang is a failure, not a hang.
private final class EventLog: Sendable {
    private let box = Guarded<[TransferEvent]>([])
    private let bell = Bell()

    func take(_ batch: [TransferEvent]) {
        box.withLock { $0 += batch }
        bell.ring()
    }
    var events: [TransferEvent] { box.withLock { $0 } }

    func wait<Answer>(_ find: ([TransferEvent]) -> Answer?) -> Answer {
        while true {
            if let answer = find(events) { return answer }
            guard bell.wait(seconds: 60) else { fatalError("no such event in 60 s: \(events)") }
        }
    }
}

extension TransferResult {
    var part: PartFile? { if case .complete(let part) = self { part } else { nil } }
    var failure: TransferFailure? { if case .failed(let failure) = self { failure } else { nil } }
    var location: String? { if case .redirect(let location) = self { location } else { nil } }
}

/// A whole answer.
func ok(_ body: [UInt8], _ fields: String = "") -> [SocketServer.Step] {
    [.send("HTTP/1.1 200 OK\r\nContent-Length: \(body.count)\r\n\(fields)\r\n"), .sendBytes(body)]
}

/// Bytes in which every place looks different.
func pattern(_ count: Int, seed: UInt32 = 1) -> [UInt8] {
    var state = seed
    return (0..<count).map { _ in
        state = state &* 1_664_525 &+ 1_013_904_223
        return UInt8(truncatingIfNeeded: state >> 24)
    }
}
