// SPDX-License-Identifier: Apache-2.0

import JobModel

/// The fields of one answer's head that a download depends on. The rest is not kept, however much a server
/// sends.
struct ResponseHead: Sendable, Equatable {
    /// Longest head, all lines of it together: what libcurl itself allows.
    static let limit = 300 * 1024
    /// Longest value kept; one that is longer counts as not given.
    static let valueLimit = 16 * 1024

    private(set) var status = 0
    /// Of the status line: `1.0`, `1.1`, `2`.
    private(set) var version = ""
    private(set) var contentLengths: [String] = []
    private(set) var contentRanges: [String] = []
    private(set) var contentType: String?
    private(set) var etag: String?
    private(set) var lastModified: String?
    private(set) var date: String?
    private(set) var retryAfter: String?
    private(set) var rateLimit = RateLimitFields()
    private(set) var location: String?
    /// Raw: bytes that are no UTF-8 are the name's reader's business.
    private(set) var contentDispositions: [[UInt8]] = []
    private(set) var hasTwoLocations = false
    private(set) var isChunked = false
    /// `Accept-Ranges: bytes`: it says that it knows ranges.
    private(set) var acceptsRanges = false
    private(set) var byteCount = 0

    enum Line: Equatable { case status, field, end, tooLarge }

    var isHTTP2: Bool { version == "2" }

    /// Takes one raw line. A status line begins a new head: interim answers come before the real one.
    mutating func take(_ line: borrowing RawSpan) -> Line {
        let bytes = line.extracting(Self.trimmed(line))
        let counted = byteCount + line.byteCount
        if Self.begins(bytes, "HTTP/") {
            self = ResponseHead()
            byteCount = counted
            readStatus(bytes)
            return counted > Self.limit ? .tooLarge : .status
        }
        byteCount = counted
        if counted > Self.limit { return .tooLarge }
        if bytes.byteCount == 0 { return .end }
        guard let colon = Self.index(of: UInt8(ascii: ":"), in: bytes) else { return .field }
        let name = bytes.extracting(0..<colon)
        guard let field = Self.known(name) else { return .field }
        let rest = bytes.extracting(colon + 1..<bytes.byteCount)
        keep(field, rest.extracting(Self.trimmed(rest)))
        return .field
    }

    private enum Field {
        case length, range, ranges, type, etag, modified, date, retryAfter, location, transferEncoding,
            disposition
        case rateLimit(RateLimitFields.Name)
    }

    private static func known(_ name: RawSpan) -> Field? {
        // By length first: most fields are none of these, and nothing is allocated to find that out.
        switch name.byteCount {
        case 4: equals(name, "etag") ? .etag : equals(name, "date") ? .date : nil
        case 8: equals(name, "location") ? .location : nil
        case 9: equals(name, "ratelimit") ? .rateLimit(.current) : nil
        case 11: equals(name, "retry-after") ? .retryAfter : nil
        case 12: equals(name, "content-type") ? .type : nil
        case 13:
            equals(name, "content-range")
                ? .range
                : equals(name, "last-modified") ? .modified : equals(name, "accept-ranges") ? .ranges : nil
        case 14: equals(name, "content-length") ? .length : nil
        case 15: equals(name, "ratelimit-reset") ? .rateLimit(.reset) : nil
        case 17:
            equals(name, "transfer-encoding")
                ? .transferEncoding : equals(name, "x-ratelimit-reset") ? .rateLimit(.oldReset) : nil
        case 19:
            equals(name, "ratelimit-remaining")
                ? .rateLimit(.remaining) : equals(name, "content-disposition") ? .disposition : nil
        case 21: equals(name, "x-ratelimit-remaining") ? .rateLimit(.oldRemaining) : nil
        default: nil
        }
    }

    private mutating func keep(_ field: Field, _ bytes: RawSpan) {
        let value = bytes.byteCount <= Self.valueLimit ? Self.text(bytes) : nil
        switch field {
        // An unreadable one is kept as such: strictness is for who reads it. Four are enough to disagree.
        case .length: if contentLengths.count < 4 { contentLengths.append(value ?? "?") }
        case .range: if contentRanges.count < 4 { contentRanges.append(value ?? "?") }
        case .ranges: acceptsRanges = Self.equals(bytes, "bytes")
        case .type: contentType = value
        // Two that differ are none: "?" is no strong one, and equals nothing that was kept.
        case .etag: etag = etag == nil || etag == value ? value ?? "?" : "?"
        case .modified: lastModified = lastModified == nil || lastModified == value ? value : "?"
        case .date: date = value
        case .retryAfter: retryAfter = value
        case .rateLimit(let name): if let value { rateLimit.take(name, value) }
        case .location:
            let target = bytes.byteCount <= Self.valueLimit ? Self.percentEncoded(bytes) : "?"
            if let location, location != target { hasTwoLocations = true }
            location = target
        case .disposition:
            guard contentDispositions.count < 4 else { break }
            contentDispositions.append(value == nil ? [] : unsafe bytes.withUnsafeBytes { unsafe Array($0) })
        case .transferEncoding: isChunked = value?.lowercased().hasSuffix("chunked") ?? false
        }
    }

    /// "HTTP/1.1 200 OK", "HTTP/2 200". libcurl has refused what is no status line.
    private mutating func readStatus(_ line: RawSpan) {
        let space = UInt8(ascii: " ")
        var place = Self.index(of: space, in: line) ?? line.byteCount
        version = Self.text(line.extracting(5..<place))
        while place < line.byteCount, Self.byte(line, place) == space { place += 1 }
        var digits = 0
        var number = 0
        while place < line.byteCount, Self.byte(line, place) != space {
            guard UInt8(ascii: "0")...UInt8(ascii: "9") ~= Self.byte(line, place), digits < 3 else { return }
            number = number * 10 + Int(Self.byte(line, place) - UInt8(ascii: "0"))
            digits += 1
            place += 1
        }
        if digits == 3 { status = number }
    }

    private static func text(_ bytes: RawSpan) -> String {
        unsafe bytes.withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }
    }

    /// Bytes above ASCII as %XX: a server's Latin-1 must not become U+FFFD on the way to `curl_url`.
    private static func percentEncoded(_ bytes: RawSpan) -> String {
        var encoded: [UInt8] = []
        let digits = Array("0123456789ABCDEF".utf8)
        for index in 0..<bytes.byteCount {
            let byte = byte(bytes, index)
            if byte < 0x80 {
                encoded.append(byte)
            } else {
                encoded += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: encoded, as: UTF8.self)
    }

    private static func byte(_ bytes: RawSpan, _ index: Int) -> UInt8 {
        unsafe bytes.unsafeLoad(fromByteOffset: index, as: UInt8.self)
    }

    private static func equals(_ bytes: RawSpan, _ lowered: StaticString) -> Bool {
        guard bytes.byteCount == lowered.utf8CodeUnitCount else { return false }
        return lowered.withUTF8Buffer { name in
            for index in 0..<bytes.byteCount {
                let own = byte(bytes, index)
                let folded = (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(own) ? own | 0x20 : own
                if unsafe folded != name[index] { return false }
            }
            return true
        }
    }

    private static func begins(_ bytes: RawSpan, _ prefix: StaticString) -> Bool {
        let count = prefix.utf8CodeUnitCount
        guard bytes.byteCount >= count else { return false }
        return prefix.withUTF8Buffer { text in
            for index in 0..<count where unsafe byte(bytes, index) != text[index] { return false }
            return true
        }
    }

    private static func index(of wanted: UInt8, in bytes: RawSpan) -> Int? {
        for index in 0..<bytes.byteCount where byte(bytes, index) == wanted { return index }
        return nil
    }

    private static func trimmed(_ bytes: borrowing RawSpan) -> Range<Int> {
        var start = 0
        var end = bytes.byteCount
        func isSpace(_ byte: UInt8) -> Bool { byte == 32 || byte == 9 || byte == 13 || byte == 10 }
        while start < end, isSpace(unsafe bytes.unsafeLoad(fromByteOffset: start, as: UInt8.self)) {
            start += 1
        }
        while end > start, isSpace(unsafe bytes.unsafeLoad(fromByteOffset: end - 1, as: UInt8.self)) {
            end -= 1
        }
        return start..<end
    }
}

extension ResponseHead {
    /// The ETag if it is a strong one in plain ASCII: a weak one is no validator for ranges (RFC 9110
    /// 13.1.5).
    var strongETag: String? { etag.flatMap { Self.isStrong($0) ? $0 : nil } }

    var hasStrongValidator: Bool { strongETag != nil || strongLastModified != nil }

    static func isStrong(_ etag: String) -> Bool {
        let bytes = Array(etag.utf8)
        guard (3...1024).contains(bytes.count), bytes.first == 0x22, bytes.last == 0x22 else { return false }
        return bytes[1..<bytes.count - 1].allSatisfy { $0 == 0x21 || (0x23...0x7E).contains($0) }
    }

    /// Last-Modified where it can serve as a strong validator: the answer's own Date is at least a minute
    /// later, so that no two versions share it (RFC 9110 8.8.2.2; a minute as RFC 7232 asked, for clocks that
    /// differ).
    var strongLastModified: String? {
        guard let lastModified, let date, let modified = HTTPDate.parse(lastModified),
            let sent = HTTPDate.parse(date),
            modified + .seconds(60) <= sent
        else { return nil }
        return lastModified
    }
}
