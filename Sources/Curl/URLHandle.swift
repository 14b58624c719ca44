// SPDX-License-Identifier: Apache-2.0

import CCurl
import Glibc

/// One `CURLU`. Lives on the stack of a parsing call and never leaves it.
@safe struct URLHandle: ~Copyable {
    private let raw: OpaquePointer

    init() {
        // curl_url fails only without memory, and then nothing of the program can go on.
        unsafe raw = curl_url()!
    }

    deinit { unsafe curl_url_cleanup(raw) }

    /// Sets a part, or drops it where `text` is nil. A NUL would cut the text short inside C: callers refuse
    /// it.
    func set(_ part: CURLUPart, _ text: String?, _ flags: Int32 = 0) throws(CurlURLError) {
        let status: CURLUcode
        if let text {
            status = unsafe text.withCString { unsafe curl_url_set(raw, part, $0, UInt32(flags)) }
        } else {
            status = unsafe curl_url_set(raw, part, nil, UInt32(flags))
        }
        guard status == CURLUE_OK else { throw CurlURLError(status) }
    }

    /// The part's text, or nil where the URL has none.
    func get(_ part: CURLUPart, _ flags: Int32 = 0) throws(CurlURLError) -> String? {
        var text: UnsafeMutablePointer<CChar>?
        let status = unsafe curl_url_get(raw, part, &text, UInt32(flags))
        switch status {
        case CURLUE_OK:
            guard let start = unsafe text else { return nil }
            defer { unsafe curl_free(start) }
            return unsafe String(cString: start)
        case CURLUE_NO_SCHEME, CURLUE_NO_USER, CURLUE_NO_PASSWORD, CURLUE_NO_OPTIONS, CURLUE_NO_HOST,
            CURLUE_NO_PORT,
            CURLUE_NO_QUERY, CURLUE_NO_FRAGMENT, CURLUE_NO_ZONEID:
            return nil
        default: throw CurlURLError(status)
        }
    }

    private static let longestHost = 1020

    /// The host with IDN labels as punycode.
    ///
    /// libidn2 reads names in the locale's encoding, and a daemon runs in the C locale: for this one call the
    /// thread gets UTF-8 (`uselocale` is the thread's own, `setlocale` would race with the others).
    func asciiHost() throws(CurlURLError) -> String? {
        guard let host = try get(CURLUPART_HOST), host.utf8.contains(where: { $0 >= 0x80 }) else {
            return try get(CURLUPART_HOST)
        }
        // No name of 255 bytes (RFC 1035 2.3.4) has more than so many in UTF-8. And libcurl 7.88.1 forgets to free its
        // copy where libidn2 refuses the name: what a hostile list or server can make of that stays small.
        guard host.utf8.count <= Self.longestHost else {
            throw CurlURLError(message: "the host name is too long")
        }
        let utf8 = unsafe newlocale(1 << LC_CTYPE, "C.UTF-8", nil)
        let before = unsafe uselocale(utf8)
        defer {
            unsafe _ = uselocale(before)
            if let utf8 = unsafe utf8 { unsafe freelocale(utf8) }
        }
        do {
            return try get(CURLUPART_HOST, CURLU_PUNYCODE)
        } catch {
            // libcurl calls any failure of libidn2 "out of memory" here.
            throw CurlURLError(message: "the host is no valid internationalized name")
        }
    }
}

/// Why `curl_url` refused a text.
public struct CurlURLError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The `CURLUcode`, or 0 for what is refused before libcurl sees it.
    public let code: UInt32
    /// One line in libcurl's words; holds nothing of the URL.
    public let message: String

    init(_ status: CURLUcode) {
        code = status.rawValue
        message = unsafe String(cString: curl_url_strerror(status))
    }
    init(message: String) {
        code = 0
        self.message = message
    }

    public var description: String { message }
    /// The text has no `scheme://` in front.
    public var isMissingScheme: Bool {
        code == CURLUE_BAD_SCHEME.rawValue || code == CURLUE_NO_SCHEME.rawValue
    }
    /// The scheme is well formed, but this libcurl speaks no such protocol.
    public var isUnsupportedScheme: Bool { code == CURLUE_UNSUPPORTED_SCHEME.rawValue }
}
