// SPDX-License-Identifier: Apache-2.0

import Curl
import JobModel

/// Turns an order into libcurl's settings: everything explicit, nothing from the environment or the user's
/// files.
enum RequestSetup {
    static func apply(
        _ order: TransferOrder, ask: ResponseAsk, sink: any TransferSink, to easy: borrowing EasyHandle,
        now: MonotonicTime
    ) throws(CurlError) {
        try easy.prepare(sink: sink)
        try easy.setPlainDownload()
        try easy.setURL(ask.url)
        // Redirects are not libcurl's: it needs no other than the URL's own.
        let own = order.url.scheme
        try easy.setProtocols(order.protocols.contains(own) ? [own] : Array(order.protocols))
        try easy.setProxy(order.proxy ?? "")
        try easy.setVerification(order.checkCertificate, caFile: order.caFile)
        // A stream would share its connection with the others': a segment is there to have one of its own.
        try easy.setHTTPVersion(ask.end == nil ? .http2OverTLS : .http1)
        try easy.setWaitsForMultiplex(order.waitsForMultiplex)
        if order.opensConnection { try easy.setOpensConnection() }
        try easy.setConnectTimeout(order.connectTimeout)
        try easy.setLowSpeedLimit(order.lowestSpeed ?? 1, for: order.stallTimeout)
        // libcurl drops fractions of a millisecond: never before the deadline, or the end would look like a stall.
        if let deadline = [order.deadline, order.attemptDeadline].compactMap({ $0 }).min() {
            try easy.setTotalTimeout(max(.zero, deadline - now) + .milliseconds(1))
        }
        if let userAgent = order.userAgent { try easy.setUserAgent(userAgent) }
        if let referer = order.referer {
            try easy.setReferer(referer == "*" ? shown(ask.url) : referer)
        }
        if let username = order.username {
            try easy.setCredentials(user: username, password: order.password ?? "")
        }
        if let resume = ask.resume {
            // What lies beyond a gap is there already.
            if let end = ask.end ?? resume.ranges?.first?.start {
                try easy.setRange(from: resume.bytes, through: end - 1)
            } else {
                try easy.setRange(from: resume.bytes)
            }
        }
        try easy.setHeaders(fields(order, ask))
    }

    /// Without user name and password.
    private static func shown(_ url: String) -> String {
        let read = try? ParsedURL.parse(url)  // unreadable: it is not asked for either
        return read?.withoutCredentials().text ?? ""
    }

    private static func fields(_ order: TransferOrder, _ ask: ResponseAsk) -> [(name: String, value: String)]
    {
        var fields = order.headers.map { (name: $0.name, value: $0.value) }
        if let resume = ask.resume, let validator = resume.etag ?? resume.lastModified {
            fields.append((name: "If-Range", value: validator))
        } else if ask.hasCondition {
            switch order.condition {
            case .etag(let tag): fields.append((name: "If-None-Match", value: tag))
            case .modifiedSince(let time):
                fields.append((name: "If-Modified-Since", value: HTTPDate.format(time)))
            case nil: break
            }
        }
        return fields
    }
}
