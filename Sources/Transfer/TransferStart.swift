// SPDX-License-Identifier: Apache-2.0

import Curl
import JobModel
import LinuxKit
import SystemPackage

// How a transfer comes into the loop.
extension TransferLoop {
    /// Preflight, then the first request.
    mutating func begin(_ transfer: ActiveTransfer) {
        do {
            if let taken = try preflight(transfer.order) {
                report(transfer, taken, nil)
                return
            }
        } catch  where error.code == .tooManySymbolicLinkLevels {
            let path = transfer.order.preflight?.path ?? OutputPath(trusted: "")
            let shown = "something on the way"
            let fault = OutputFault.link(on: path, shown: shown, cause: "\(error)")
            fail(transfer, TransferFailure(fault), nil)
            return
        } catch {
            fail(transfer, FailureMap.failure(error), nil)
            return
        }
        request(transfer)
    }

    static var jobOver: TransferFailure {
        TransferFailure(JobError(.jobDeadline, "the job's time is over"))
    }

    private func preflight(_ order: TransferOrder) throws(SystemError) -> TransferResult? {
        guard let preflight = order.preflight else { return nil }
        tools.folders.heartbeat.enter("stat output")
        defer { tools.folders.heartbeat.leave() }
        do {
            // Opened anew each time: what was mounted or moved meanwhile counts.
            let output = try DirectoryTree(root: FilePath(settings.outputRoot), capacity: 1)
            guard let status = try output.status(of: FilePath(preflight.path.description)) else { return nil }
            return .taken(size: status.size, modified: WallTime(milliseconds: status.modifiedMilliseconds))
        } catch  where error.code == .notDirectory {
            // A file where a directory is needed: for the rename to say.
            return nil
        }
    }

    /// One request of a transfer, the first or a further one.
    mutating func request(_ transfer: ActiveTransfer) {
        let order = transfer.order
        let now = Clock.now()
        if let deadline = order.deadline, deadline <= now {
            fail(transfer, Self.jobOver, nil)
            return
        }
        if let deadline = order.attemptDeadline, deadline <= now {
            fail(transfer, FailureMap.attemptOver, nil)
            return
        }
        do {
            if let point = transfer.resume, point.isProven == true {
                if try mend(transfer, point, now) { return }
                transfer.resume = nil
            }
            let writer = try resumedPart(transfer)
            let ask = ResponseAsk(
                url: order.url.text, resume: transfer.resume,
                hasCondition: order.condition != nil && transfer.resume == nil,
                expectedSize: order.expectedSize,
                maxFileSize: order.maxFileSize,
                isHTTP: order.url.scheme == "http" || order.url.scheme == "https",
                now: Clock.wall())
            let reception = Reception(
                order: order, ask: ask, writer: writer, oldPart: transfer.old?.part,
                partName: transfer.partName, tools: tools, now: now)
            transfer.reception = reception
            if let denied = try deniedBehindProxy(order) {
                fail(transfer, denied, nil)
                return
            }
            try enter(transfer, try readyEasy(order, ask, reception, now))
            transfer.order.opensConnection = false
        } catch let error as SystemError {
            tools.folders[order.home].forget()
            fail(transfer, FailureMap.failure(error), nil)
        } catch let error as CurlError {
            fail(transfer, FailureMap.failure(BreakFacts(error: error)), nil)
        } catch {
            fail(transfer, TransferFailure(JobError(.badURL, Masking.text("\(error)"))), nil)
        }
    }

    /// A handle with the request's settings.
    ///
    /// A rested handle that libcurl still ties to a shared HTTP/2 connection refuses its buffer size as a bad
    /// argument (seen with 7.88.1, a few in a thousand). Letting go of it unties it; a fresh one takes its place.
    mutating func readyEasy(
        _ order: TransferOrder, _ ask: ResponseAsk, _ sink: Reception, _ now: MonotonicTime
    ) throws(CurlError) -> EasyHandle {
        let rested = try multi.takeEasy()
        do throws(CurlError) {
            try RequestSetup.apply(order, ask: ask, sink: sink, to: rested, now: now)
            return rested
        } catch {
            guard error.code == .badArgument else { throw error }
        }
        let fresh = try EasyHandle.make()
        try RequestSetup.apply(order, ask: ask, sink: sink, to: fresh, now: now)
        return fresh
    }

    /// The part to go on with. One that is not what the resume point says goes; one that this URL is not to be
    /// asked for stays, until the first byte of another has come.
    private func resumedPart(_ transfer: ActiveTransfer) throws -> PartWriter? {
        guard let point = transfer.resume else { return nil }
        let order = transfer.order
        transfer.resume = nil
        let url = try ParsedURL.parse(order.url.text)
        guard order.asksRanges, ResumePolicy.mayGoOn(from: point, at: url, hasDigest: order.hasDigest) else {
            return nil
        }
        guard
            let writer = try PartWriter.resume(
                point.part, from: point, in: tools.folders[transfer.order.home], pool: tools.pool)
        else {
            tools.folders[transfer.order.home].remove(point.part)
            transfer.old = nil
            return nil
        }
        transfer.resume = point
        return writer
    }

    /// Behind a proxy both callbacks see the proxy's address, so the target is judged by its name here.
    func deniedBehindProxy(_ order: TransferOrder) throws(CurlURLError) -> TransferFailure? {
        guard let proxy = order.proxy, !proxy.isEmpty else { return nil }
        let url = try ParsedURL.parse(order.url.text)
        guard !order.addressPolicy.permits(host: url.host) else { return nil }
        return TransferFailure(
            JobError(.privateAddress, "policy forbids to fetch from \(Masking.text(url.host))"))
    }
}
