// SPDX-License-Identifier: Apache-2.0

import Curl
import JobModel
import LinuxKit
import SystemPackage

// How a transfer leaves the loop.
extension TransferLoop {
    /// A request is over: what the answer says counts first, then libcurl's error.
    mutating func settle(_ transfer: ActiveTransfer, _ error: CurlError?, _ reading: TransferReading) {
        guard let reception = transfer.reception else { preconditionFailure("a request without a reception") }
        forget(transfer)
        transfer.newConnections += reading.newConnections
        if reception.machine.conduct != .fair, transfer.ranges != .lies {
            transfer.ranges = reception.machine.conduct
        }
        if let local = reception.localError {
            fail(transfer, FailureMap.failure(local), reading)
            return
        }
        switch reception.machine.end(isClean: error == nil) {
        case .whole(let size, let isLengthVerified):
            complete(transfer, reception, size, isLengthVerified, reading)
        case .more(let from): goOn(transfer, reception, from, reading)
        case .restart(let reason, _): restart(transfer, reception, reason, reading)
        case .notModified: leave(transfer, .notModified, reading)
        case .redirect(let location): leave(transfer, .redirect(location: location), reading)
        case .failed(let jobError, let retryAfter):
            fail(transfer, Self.answered(jobError, retryAfter), reading)
        case .piece, .otherVersion: preconditionFailure("an answer to a segment that was not asked for")
        case .broken: fail(transfer, brokenFailure(transfer, reception, error, reading), reading)
        }
    }

    /// What an answer told, not the network.
    static func answered(_ error: JobError, _ retryAfter: Duration? = nil) -> TransferFailure {
        var failure = TransferFailure(error)
        failure.retryAfter = retryAfter
        failure.uplink = .answered
        return failure
    }

    func brokenFailure(
        _ transfer: ActiveTransfer, _ reception: Reception, _ error: CurlError?, _ reading: TransferReading
    ) -> TransferFailure {
        // OK without an answer: not seen, and no file either way.
        let error = error ?? CurlError(code: .gotNothing)
        var facts = BreakFacts(error: error)
        facts.isConnected = reading.preTransfer > 0
        facts.isAccepted = reading.connect > 0
        facts.hasHead = reception.machine.hasHead
        facts.isHTTP2 = reception.machine.head.isHTTP2
        facts.hasGoneAway = tools.notes.goneAway.contains(reading.localPort)
        facts.fetchedBytes = reception.fetchedBytes
        // libcurl goes by another clock (CLOCK_MONOTONIC_RAW), and may be over a little before we are.
        let soon = Clock.now() + .milliseconds(10)
        facts.isPastDeadline = transfer.order.deadline.map { $0 <= soon } ?? false
        facts.isPastAttempt = transfer.order.attemptDeadline.map { $0 <= soon } ?? false
        // Refused before the request (PREREQFUNCTION), or refused every address there was.
        if error.code == .abortedByCallback || !reception.hasPermittedAddress {
            facts.deniedAddress = reading.deniedAddress
        }
        return FailureMap.failure(facts)
    }

    private mutating func complete(
        _ transfer: ActiveTransfer, _ reception: Reception, _ size: Int64, _ isLengthVerified: Bool,
        _ reading: TransferReading
    ) {
        // An empty body offers no block, so its part is made, or cut to nothing, here.
        if let start = reception.machine.start, !reception.openPart(at: start) {
            fail(transfer, FailureMap.failure(reception.localError!), reading)
            return
        }
        guard let writer = reception.writer else { preconditionFailure("a whole file without a part") }
        // A 416 said that nothing is missing: what lies beyond, if anything, was never of the file.
        guard !writer.isUntouched || writer.begin(at: writer.flushedSize) else {
            fail(transfer, FailureMap.failure(writer.failure!), reading)
            return
        }
        let modified = transfer.order.keepsRemoteTime ? reception.machine.head.lastModified : nil
        guard writer.finish(modified: modified.flatMap { HTTPDate.parse($0) }) else {
            fail(transfer, FailureMap.failure(writer.failure!), reading)
            return
        }
        guard writer.flushedSize == size else {
            let error = JobError(.truncated, "\(writer.flushedSize) of \(size) bytes were written")
            tools.folders[transfer.order.home].remove(writer.name)
            reception.close()
            report(transfer, .failed(TransferFailure(error)), reading)
            return
        }
        var part = PartFile(
            name: writer.name, device: writer.device, inode: writer.inode, size: size,
            isLengthVerified: isLengthVerified)
        if isLengthVerified, size >= settings.checkpointBytes {
            part.point = reception.machine.resumePoint(
                bytes: size, device: writer.device, inode: writer.inode, part: writer.name)
            part.point?.total = size
        }
        if settings.isDurable { part.file = writer.handOver(to: tools.purse) }
        reception.close()
        report(transfer, .complete(part), reading)
    }

    /// A range shorter than asked: the rest, from where it ended.
    private mutating func goOn(
        _ transfer: ActiveTransfer, _ reception: Reception, _ from: Int64, _ reading: TransferReading
    ) {
        transfer.continuations += 1
        guard transfer.continuations <= Self.continuationLimit, let writer = reception.writer, writer.flush(),
            let point = reception.machine.resumePoint(
                bytes: writer.flushedSize, device: writer.device, inode: writer.inode, part: writer.name)
        else {
            fail(
                transfer, TransferFailure(JobError(.truncated, "only the bytes up to \(from) came")), reading)
            return
        }
        again(transfer, from: point)
    }

    /// The resume point proved no good. Once: an answer that doubts a request from zero would do so for ever.
    private mutating func restart(
        _ transfer: ActiveTransfer, _ reception: Reception, _ reason: String, _ reading: TransferReading
    ) {
        transfer.restarts += 1
        guard transfer.restarts == 1 else {
            fail(transfer, TransferFailure(JobError(.protocol, reason)), reading)
            return
        }
        again(transfer, from: nil)
    }

    mutating func again(_ transfer: ActiveTransfer, from point: ResumePoint?) {
        transfer.fetchedBefore += transfer.reception?.takeFetched() ?? 0
        transfer.reception?.settleRates()
        transfer.reception?.close()
        if point == nil, let old = transfer.old { tools.folders[transfer.order.home].remove(old.part) }
        transfer.resume = point
        transfer.old = point
        request(transfer)
    }

    /// Ends without a file; a part that was brought along stays as it was.
    mutating func leave(
        _ transfer: ActiveTransfer, _ result: TransferResult, _ reading: TransferReading?
    ) {
        transfer.reception?.close()
        report(transfer, result, reading)
    }

    mutating func fail(_ transfer: ActiveTransfer, _ failure: TransferFailure, _ reading: TransferReading?) {
        var failure = failure
        if transfer.divided != nil { endRequests(transfer) }
        // What is too long or of another length than announced is not worth going on with.
        let isWorthless = failure.error.code == .tooLarge || failure.error.code == .badLength
        failure.resume = transfer.settlePart(tools, keeping: isWorthless ? .nothing : .flushed)
        if failure.isLocal { tools.folders[transfer.order.home].forget() }
        report(transfer, .failed(failure), reading)
    }

    mutating func report(_ transfer: ActiveTransfer, _ result: TransferResult, _ reading: TransferReading?) {
        forget(transfer)
        divided.remove(transfer.order.token)
        let reading = transfer.divided?.firstReading ?? reading
        var report = TransferReport(
            token: transfer.order.token, seq: transfer.order.seq, worker: worker, result: result)
        report.newConnections = transfer.newConnections
        report.sight = transfer.sight
        report.fetchedBytes = transfer.fetchedBefore
        if let reception = transfer.reception {
            reception.settleRates()
            report.fetchedBytes += reception.takeFetched()
            report.response = Facts.response(reception.machine, reading)
        }
        report.resumedBytes = transfer.keptBytes
        report.helpers = transfer.divided?.helpers ?? []
        let wasShared = report.resumedBytes > 0 && transfer.order.resume?.isShared == true
        report.isShared = wasShared || transfer.divided?.isShared ?? false
        report.ranges = transfer.ranges
        if let reading { report.timings = Facts.timings(reading) }
        if let since = transfer.divided?.since {
            report.timings.transfer = max(0, (Clock.now() - since).nanosecondsClamped)
        }
        report.successor = successor(of: report, transfer)
        tell(.finished(report), isUrgent: report.successor == nil)
    }
}

/// What a report says beyond the result.
enum Facts {
    static func response(_ machine: ResponseMachine, _ reading: TransferReading?) -> ResponseFacts {
        var facts = ResponseFacts()
        facts.remoteIP = reading?.address
        guard machine.hasHead else { return facts }
        facts.httpStatus = machine.head.status
        facts.httpVersion = machine.head.version
        facts.contentType = machine.head.contentType
        facts.etag = machine.head.etag
        facts.lastModified = machine.head.lastModified
        facts.contentDispositions = machine.head.contentDispositions
        facts.contentLength = machine.total
        if !HeadPolicy.isRefusal(machine.head.status) {
            facts.quotaReset = machine.head.rateLimit.waitAfterService(now: machine.ask.now)
        }
        return facts
    }

    /// libcurl's clocks are cumulative microseconds; a difference below 0 is rounding.
    static func timings(_ reading: TransferReading) -> TransferTimings {
        var timings = TransferTimings()
        func phase(_ from: Int64, _ to: Int64) -> Int64 {
            let (scaled, overflow) = max(0, to - from).multipliedReportingOverflow(by: 1000)
            return overflow ? .max : scaled
        }
        let isReused = reading.newConnections == 0 && reading.preTransfer > 0
        if isReused {
            timings.dns = 0
            timings.connect = 0
            timings.tls = 0
        } else {
            if reading.nameLookup > 0 { timings.dns = phase(0, reading.nameLookup) }
            if reading.connect > 0 { timings.connect = phase(reading.nameLookup, reading.connect) }
            if reading.tls > 0 {
                timings.tls = phase(reading.connect, reading.tls)
            } else if reading.preTransfer > 0 {
                timings.tls = 0
            }
        }
        if reading.firstByte > 0 {
            timings.firstByte = phase(0, reading.firstByte)
            timings.transfer = phase(reading.firstByte, reading.total)
        }
        return timings
    }
}
