// SPDX-License-Identifier: Apache-2.0

import Curl
import JobModel

/// What a complete head means for its body. Only 200, a checked 206 and 204 yield a file.
enum HeadPolicy {
    static let lengthDiffers = "the mirror's file has another length"

    static func plan(_ ask: ResponseAsk, _ head: ResponseHead) -> ResponseMachine.State {
        switch head.status {
        case 200, 204: ask.end == nil ? whole(ask, head) : wholeForPiece(ask, head)
        case 206: range(ask, head)
        case 304 where ask.hasCondition: discard(.notModified, head)
        case 301, 302, 303, 307, 308: redirect(ask, head)
        case 416 where ask.resume != nil: unsatisfied(ask, head)
        // Servers that take Range or If-Range for a fault: what they say to a plain request counts.
        case 400, 412, 501:
            ask.resume != nil
                ? discard(.restart(reason: "\(head.status) to a range", .ignores), head)
                : failed(JobError(code(head.status), "the server answered \(head.status)"), ask, head)
        default: failed(JobError(code(head.status), "the server answered \(head.status)"), ask, head)
        }
    }

    /// The whole file from its first byte, also where a range was asked for: the file has changed (If-Range),
    /// or the server knows no ranges.
    private static func whole(_ ask: ResponseAsk, _ head: ResponseHead) -> ResponseMachine.State {
        var total: Int64?
        if head.status == 204 {
            total = 0
        } else if !head.isChunked {
            do {
                total = try ContentLength.parse(head.contentLengths)
            } catch {
                return .over(.failed(error, retryAfter: nil))
            }
        }
        if let error = refusal(of: total, ask) { return .over(.failed(error, retryAfter: nil)) }
        let isFramed = head.isChunked || head.isHTTP2
        return .body(.init(start: 0, end: total, total: total, isFramed: isFramed))
    }

    /// A segment wants its range and nothing else. That the whole comes says why it does not get it.
    private static func wholeForPiece(_ ask: ResponseAsk, _ head: ResponseHead) -> ResponseMachine.State {
        if ask.agreement != nil {
            return .over(.restart(reason: "the mirror answers a range with the whole file", .ignores))
        }
        let isSame =
            ask.resume?.isProven ?? ask.resume?.etag.map { same(head.strongETag, $0) }
            ?? same(head.strongLastModified, ask.resume?.lastModified)
        return .over(
            isSame
                ? .restart(reason: "the whole file to a range", .ignores)
                : .otherVersion(reason: "the file has changed while it was being fetched"))
    }

    /// A length that need not be waited for.
    private static func refusal(of total: Int64?, _ ask: ResponseAsk) -> JobError? {
        guard let total else { return nil }
        if let limit = ask.maxFileSize, total > limit {
            return JobError(.tooLarge, "\(total) bytes, and \(limit) are allowed")
        }
        if let expected = ask.expectedSize, total != expected {
            return JobError(.badLength, "\(total) bytes, and \(expected) were expected")
        }
        return nil
    }

    /// RFC 9110 15.3.7: one range, the one asked for, of the file that the resume point knows. In doubt from
    /// zero: two versions in one file are worse than fetching it again.
    private static func range(_ ask: ResponseAsk, _ head: ResponseHead) -> ResponseMachine.State {
        guard let resume = ask.resume else {
            return failed(JobError(.protocol, "a partial answer (206) to a whole request"), ask, head)
        }
        if let doubt = doubt(about: head, resume, end: ask.end, ask.agreement) {
            return .over(.restart(reason: doubt.reason, doubt.conduct))
        }
        guard let range = ContentRange(head.contentRanges[0]), let total = range.total else {
            preconditionFailure("a range that raised no doubt")
        }
        if let error = refusal(of: total, ask) { return .over(.failed(error, retryAfter: nil)) }
        let isFramed = head.isChunked || head.isHTTP2
        return .body(.init(start: resume.bytes, end: range.last + 1, total: total, isFramed: isFramed))
    }

    /// Why a 206 cannot be trusted to continue the part; nil where it can.
    ///
    /// Missing counts as changed: a server that ignores If-Range shows itself in nothing else.
    private static func doubt(
        about head: ResponseHead, _ resume: ResumePoint, end: Int64?, _ agreement: Agreement?
    ) -> (reason: String, conduct: RangeConduct)? {
        let type = head.contentType?.lowercased() ?? ""
        guard head.contentRanges.count == 1, !type.hasPrefix("multipart/byteranges"),
            let range = ContentRange(head.contentRanges[0])
        else { return ("a 206 without one proper Content-Range", .lies) }
        guard range.first == resume.bytes, range.last < end ?? .max else {
            return ("a 206 for another range", .lies)
        }
        guard let total = range.total else {
            return ("a 206 that does not tell the file's length", .ignores)
        }
        if let known = resume.total, known != total {
            // Of another mirror's file nothing was promised.
            let isOther = resume.isProven == true || agreement != nil
            return (isOther ? lengthDiffers : "the file's length has changed", isOther ? .fair : .lies)
        }
        if !head.isChunked, !head.contentLengths.isEmpty, length(head) != range.count {
            // A wrong length would be told by the count at the end as well, but then bytes are written.
            return ("a 206 whose Content-Length is not that of its range", .lies)
        }
        if let agreement { return agreement.doubt(about: head).map { ($0, .fair) } }
        // Its digests tell what these bytes are.
        if resume.isProven == true { return nil }
        return resume.etag != nil ? doubt(aboutTag: head, resume) : doubt(aboutTime: head, resume)
    }

    private static func doubt(
        aboutTag head: ResponseHead, _ resume: ResumePoint
    ) -> (reason: String, conduct: RangeConduct)? {
        guard let etag = head.etag else { return ("a 206 without an ETag", .ignores) }
        return same(etag, resume.etag) ? nil : ("a 206 with another ETag", .lies)
    }

    /// RFC 9110 15.3.7 lets a server leave Last-Modified out here; then nothing proves the version.
    private static func doubt(
        aboutTime head: ResponseHead, _ resume: ResumePoint
    ) -> (reason: String, conduct: RangeConduct)? {
        guard let modified = head.lastModified else { return ("a 206 without Last-Modified", .fair) }
        return same(modified, resume.lastModified) ? nil : ("a 206 with another Last-Modified", .lies)
    }

    /// Byte by byte: String's == takes canonically equivalent texts for one.
    static func same(_ a: String?, _ b: String?) -> Bool {
        guard let a, let b else { return false }
        return a.utf8.elementsEqual(b.utf8)
    }

    private static func length(_ head: ResponseHead) -> Int64? {
        try? ContentLength.parse(head.contentLengths)  // unreadable is as bad as different
    }

    /// 416. Where all three lengths agree there was nothing left to fetch; else the part is longer than the
    /// file or of another version, and goes. Of an answer that told no length, its last chunk was missing, this tells
    /// it, if it is of the same version by its own word.
    private static func unsatisfied(_ ask: ResponseAsk, _ head: ResponseHead) -> ResponseMachine.State {
        let total = head.contentRanges.first.flatMap { ContentRange.unsatisfiedTotal($0) }
        if let resume = ask.resume, let total, total == resume.bytes, refusal(of: total, ask) == nil {
            let isSame = same(head.etag, resume.etag)
            let isOther = head.etag != nil && resume.etag != nil && !isSame
            if resume.total == nil ? isSame : resume.total == total && !isOther {
                return discard(.whole(size: total, isLengthVerified: true), head)
            }
        }
        return discard(.restart(reason: "the server refused the range (416)", .fair), head)
    }

    private static func redirect(_ ask: ResponseAsk, _ head: ResponseHead) -> ResponseMachine.State {
        guard let location = head.location, !location.isEmpty else {
            return failed(JobError(code(head.status), "\(head.status) without a Location"), ask, head)
        }
        if head.hasTwoLocations {
            return failed(JobError(.protocol, "two different Location fields"), ask, head)
        }
        do {
            let target = try ParsedURL.parse(ask.url).resolving(location)
            return discard(.redirect(location: target.text), head)
        } catch {
            let code: ErrorCode = error.isUnsupportedScheme ? .redirectScheme : .badURL
            return failed(
                JobError(code, "the server redirects to what cannot be fetched: \(error)"), ask, head)
        }
    }

    private static func failed(
        _ error: JobError, _ ask: ResponseAsk, _ head: ResponseHead
    ) -> ResponseMachine.State {
        var retryAfter = head.retryAfter.flatMap { RetryAfter.parse($0, now: ask.now) }
        // Retry-After takes precedence where both are given.
        if retryAfter == nil, isRefusal(head.status) {
            retryAfter = head.rateLimit.waitAfterRefusal(now: ask.now)
        }
        return discard(.failed(error, retryAfter: retryAfter), head)
    }

    /// An answer about the host, not about the file.
    static func isRefusal(_ status: Int) -> Bool { status == 429 || status == 503 }

    /// Reads a short body to keep the connection; one known to be long is not worth that.
    private static func discard(_ ending: ResponseEnding, _ head: ResponseHead) -> ResponseMachine.State {
        let announced = head.contentLengths.first.flatMap { Int64($0) } ?? 0
        if announced > ResponseMachine.discardLimit { return .over(ending) }
        return .discard(ending, left: ResponseMachine.discardLimit)
    }

    /// `http_NNN`; what is no three-digit status breaks the protocol.
    private static func code(_ status: Int) -> ErrorCode {
        (100...999).contains(status) ? .http(status) : .protocol
    }
}
