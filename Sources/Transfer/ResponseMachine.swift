// SPDX-License-Identifier: Apache-2.0

import Curl
import JobModel

/// What a transfer asked for, as far as its answer depends on it.
struct ResponseAsk: Sendable {
    /// What is asked for, as `curl_url` wrote it. Redirects are resolved against it.
    var url: String
    /// A range was asked for, from `resume.bytes` on, with If-Range.
    var resume: ResumePoint?
    /// Of a segment: one beyond the last byte asked for. Else it was the end of the file.
    var end: Int64?
    /// Of a segment that a mirror is asked for: what shows that it has the same file.
    var agreement: Agreement?
    /// A condition was sent, so 304 is an answer.
    var hasCondition = false
    var expectedSize: Int64?
    var maxFileSize: Int64?
    /// Other schemes have no heads that this machine reads: their bodies are taken as they come.
    var isHTTP = true
    /// For Retry-After's dates.
    var now = WallTime(milliseconds: 0)
}

/// How an answer ends, as far as the answer itself can say.
enum ResponseEnding: Sendable, Equatable {
    /// Every byte of the file is there.
    case whole(size: Int64, isLengthVerified: Bool)
    /// The server gave a shorter range than asked, and gave all of it: ask for the rest.
    case more(from: Int64)
    /// The resume point is no good: the same request once more, from zero.
    case restart(reason: String, RangeConduct)
    /// All that was asked for of a segment.
    case piece
    /// To a segment: the file is not the one that the others are of.
    case otherVersion(reason: String)
    case notModified
    case redirect(location: String)
    case failed(JobError, retryAfter: Duration?)
    /// The connection ended first: libcurl's error says why.
    case broken
}

/// Reads one answer: what its head allows, what to do with each block, what the end means. Pure.
///
/// CURLE_OK proves nothing here. libcurl 7.88.1 says it for a range answered with the whole file, with
/// another range, or with none, and for two different Content-Lengths; so everything is checked before the
/// first byte.
struct ResponseMachine: Sendable {
    enum State: Sendable, Equatable {
        /// No head, a part of one, or an interim answer's. On to `body` or `over`.
        case head
        /// The file's bytes come. Stays until `end`, or on to `over` when one too many comes.
        case body(BodyPlan)
        /// The body is of no use and is read only to keep the connection. On to `over` if there is too much
        /// of it.
        case discard(ResponseEnding, left: Int64)
        /// Decided; nothing more is wanted of this connection.
        case over(ResponseEnding)
    }
    struct BodyPlan: Sendable, Equatable {
        /// Where the first byte of this answer goes: 0, or the resume point.
        var start: Int64
        var received: Int64 = 0
        /// One beyond the last byte of this answer.
        var end: Int64?
        /// Length of the file.
        var total: Int64?
        /// The end is told by framing: chunks or streams.
        var isFramed: Bool
    }
    enum HeadStep: Equatable { case proceed, proceedThenClose, stop }
    enum BodyStep: Equatable { case write(at: Int64), drop, stop }

    /// Most that is read of a body nobody wants.
    static let discardLimit: Int64 = 64 * 1024

    let ask: ResponseAsk
    private(set) var state: State = .head
    private(set) var head = ResponseHead()

    init(ask: ResponseAsk) {
        self.ask = ask
        if !ask.isHTTP { state = .body(BodyPlan(start: 0, isFramed: false)) }
    }

    /// Whether any of an answer's head has come.
    var hasHead: Bool { head.status != 0 }

    /// Takes one raw header line.
    mutating func takeHeader(_ line: borrowing RawSpan) -> HeadStep {
        switch state {
        case .head: break
        // Trailers, and FTP's chatter.
        case .body, .discard: return .proceed
        case .over: return .stop
        }
        switch head.take(line) {
        case .status, .field: return .proceed
        case .tooLarge:
            state = .over(
                .failed(JobError(.headerTooLarge, "more than 300 KiB of response headers"), retryAfter: nil))
            return .stop
        case .end:
            // An interim answer: the real one follows, with a status line of its own.
            if (100...199).contains(head.status) { return .proceed }
            state = HeadPolicy.plan(ask, head)
            if case .over = state { return .stop }
            // Both framings at once is how requests are smuggled: chunks win, and the connection ends with
            // them.
            return head.isChunked && !head.contentLengths.isEmpty ? .proceedThenClose : .proceed
        }
    }

    /// Takes the length of a block of body; its bytes go where the answer says.
    mutating func takeBody(_ count: Int64) -> BodyStep {
        switch state {
        case .head:
            state = .over(.failed(JobError(.protocol, "a body without a response head"), retryAfter: nil))
            return .stop
        case .body(var plan):
            let place = plan.start + plan.received
            plan.received += count
            if let error = excess(place + count, plan) {
                state = .over(.failed(error, retryAfter: nil))
                return .stop
            }
            state = .body(plan)
            return .write(at: place)
        case .discard(let ending, let left):
            state = count > left ? .over(ending) : .discard(ending, left: left - count)
            return count > left ? .stop : .drop
        case .over: return .stop
        }
    }

    private func excess(_ size: Int64, _ plan: BodyPlan) -> JobError? {
        if let limit = ask.maxFileSize, size > limit {
            return JobError(.tooLarge, "more than the \(limit) bytes allowed")
        }
        if let expected = ask.expectedSize, size > expected {
            return JobError(.badLength, "more than the \(expected) bytes expected")
        }
        if let end = plan.end, size > end {
            return JobError(.badLength, "more than the \(end) bytes announced")
        }
        return nil
    }

    /// The transfer is over. `isClean`: libcurl saw no error.
    func end(isClean: Bool) -> ResponseEnding {
        switch state {
        case .head: return .broken
        case .over(let ending), .discard(let ending, _): return ending
        case .body(let plan):
            guard isClean else { return .broken }
            let size = plan.start + plan.received
            if let goal = ask.end, size >= goal { return .piece }
            if let end = plan.end, size < end { return Self.truncated(size, of: end) }
            if let total = plan.total, size < total {
                return plan.received > 0 ? .more(from: size) : Self.truncated(size, of: total)
            }
            if let expected = ask.expectedSize, size != expected {
                let error = JobError(.badLength, "\(size) bytes came, \(expected) were expected")
                return .failed(error, retryAfter: nil)
            }
            let isVerified = plan.total != nil || plan.isFramed || ask.expectedSize != nil
            return .whole(size: size, isLengthVerified: isVerified)
        }
    }

    private static func truncated(_ size: Int64, of total: Int64) -> ResponseEnding {
        .failed(JobError(.truncated, "\(size) of \(total) bytes came"), retryAfter: nil)
    }

    /// Where this answer's first byte goes, once that is decided.
    var start: Int64? {
        if case .body(let plan) = state { return plan.start }
        return nil
    }

    /// Length of the file, as told by the answer or asked for.
    var total: Int64? {
        switch state {
        case .body(let plan): plan.total ?? ask.expectedSize
        case .head, .discard, .over: ask.expectedSize
        }
    }

    /// What the answer showed of the server's ranges.
    var conduct: RangeConduct {
        switch state {
        case .over(.restart(_, let conduct)), .discard(.restart(_, let conduct), _): conduct
        // The very version that was asked for, and yet all of it.
        case .body(let plan) where plan.start == 0 && ask.end == nil:
            HeadPolicy.same(head.strongETag, ask.resume?.etag) ? .ignores : .fair
        case .head, .body, .discard, .over: .fair
        }
    }

    /// Whether other connections may bring parts of the same file: its length and version are known, and the server
    /// says, or has shown, that it knows ranges.
    var isDivisible: Bool {
        guard ask.isHTTP, ask.end == nil, case .body(let plan) = state, plan.total != nil else {
            return false
        }
        return head.status == 206 || (head.acceptsRanges && head.hasStrongValidator)
    }

    /// One beyond the last byte that this answer brings.
    var end: Int64? {
        if case .body(let plan) = state { return plan.end }
        return nil
    }

    /// What a later attempt may go on with; the part holds `bytes` of the file. nil without a strong
    /// validator; a time counts as one only together with a length.
    func resumePoint(bytes: Int64, device: UInt64, inode: UInt64, part: String) -> ResumePoint? {
        guard ask.isHTTP, bytes > 0, case .body(let plan) = state else { return nil }
        // A 206 has proved the validators of the point it went on from; a 200 brings its own.
        let resumed = plan.start > 0 ? ask.resume : nil
        let etag = resumed?.etag ?? head.strongETag
        let modified = resumed?.lastModified ?? head.strongLastModified
        guard etag != nil || (modified != nil && plan.total != nil) else { return nil }
        var point = ResumePoint(
            url: ask.url, bytes: bytes, total: plan.total, etag: etag, lastModified: modified,
            device: device, inode: inode, part: part)
        point.isShared = resumed?.isShared
        return point
    }
}
