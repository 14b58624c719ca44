// SPDX-License-Identifier: Apache-2.0

import CCurl

/// A URL as `curl_url` reads it: the only parser of URLs in the program, because two that disagree are a
/// hole.
///
/// Normalised: scheme and host in lower case, IDN as punycode, default port dropped, dot segments resolved,
/// spaces and non-ASCII percent-encoded, fragment dropped. A value without ties to libcurl: any thread may
/// use it.
public struct ParsedURL: Sendable, Hashable {
    /// The whole URL, with credentials if it had any: for the wire and the ledger, never for show.
    public let text: String
    /// Lower case: `http`, `https`, `ftp`, ...
    public let scheme: String
    /// Lower case, punycode; an IPv6 address keeps its brackets. Empty for schemes without a host.
    public let host: String
    /// The port that a connection would use: as given, else the scheme's own; 0 where there is none.
    public let port: Int
    /// Whether `port` is the one that the scheme has by default.
    public let isDefaultPort: Bool
    /// Percent-encoded, begins with `/`.
    public let path: String
    /// Percent-encoded, without the `?`; nil where there is none.
    public let query: String?
    /// Percent-decoded user name and password of the URL, if it had any. Never for show.
    public let user: String?
    public let password: String?

    /// `host`, or `host:port` where the port is not the scheme's own: the name that courtesy is counted for.
    public var hostKeyText: String { isDefaultPort || port == 0 ? host : "\(host):\(port)" }

    /// Whether two URLs share scheme, host and port: what credentials may cross.
    public func hasSameOrigin(as other: ParsedURL) -> Bool {
        scheme == other.scheme && host == other.host && port == other.port
    }

    /// Reads an absolute URL. `CURLU_URLENCODE` is always set; see `curl_url_set(3)`.
    ///
    /// - Parameter allowsSpaces: spaces in path and query are encoded (`CURLU_ALLOW_SPACE`) instead of
    ///   refused.
    public static func parse(_ text: String, allowsSpaces: Bool = true) throws(CurlURLError) -> ParsedURL {
        let handle = URLHandle()
        try set(handle, text, allowsSpaces: allowsSpaces)
        return try ParsedURL(reading: handle)
    }

    /// Reads a redirect's Location against this URL (RFC 9110 10.2.2, resolved as RFC 3986 5 says).
    ///
    /// Credentials inside the Location are dropped; those of this URL stay only where the origin stays.
    public func resolving(_ location: String) throws(CurlURLError) -> ParsedURL {
        let handle = URLHandle()
        try handle.set(CURLUPART_URL, text)
        try Self.set(handle, location, allowsSpaces: true)
        let target = try ParsedURL(reading: handle)
        let keepsCredentials = hasSameOrigin(as: target)
        try handle.set(CURLUPART_USER, keepsCredentials ? user : nil, CURLU_URLENCODE)
        try handle.set(CURLUPART_PASSWORD, keepsCredentials ? password : nil, CURLU_URLENCODE)
        try handle.set(CURLUPART_OPTIONS, nil)
        return try ParsedURL(reading: handle)
    }

    /// This URL without user name and password, for show and for the Referer field.
    public func withoutCredentials() -> ParsedURL {
        guard user != nil || password != nil else { return self }
        let handle = URLHandle()
        do {
            try handle.set(CURLUPART_URL, text)
            try handle.set(CURLUPART_USER, nil)
            try handle.set(CURLUPART_PASSWORD, nil)
            try handle.set(CURLUPART_OPTIONS, nil)
            return try ParsedURL(reading: handle)
        } catch {
            preconditionFailure("curl_url refuses what it wrote itself: \(error)")
        }
    }

    private static func set(
        _ handle: borrowing URLHandle, _ text: String, allowsSpaces: Bool
    ) throws(CurlURLError) {
        guard !text.utf8.contains(0) else { throw CurlURLError(message: "a NUL byte in the URL") }
        // CURLU_URLENCODE takes spaces even where CURLU_ALLOW_SPACE is not set.
        if !allowsSpaces, text.utf8.contains(UInt8(ascii: " ")) {
            throw CurlURLError(message: "a space in the URL")
        }
        try handle.set(CURLUPART_URL, text, CURLU_URLENCODE | (allowsSpaces ? CURLU_ALLOW_SPACE : 0))
    }

    private init(reading handle: borrowing URLHandle) throws(CurlURLError) {
        try handle.set(CURLUPART_FRAGMENT, nil)
        scheme = try handle.get(CURLUPART_SCHEME) ?? ""
        let zone = try handle.get(CURLUPART_ZONEID)
        let host = try handle.asciiHost().map(Self.asciiLowercased)
        if let host, !host.isEmpty {
            // Setting the host drops the zone (a link-local interface), so it goes back in.
            try handle.set(CURLUPART_HOST, host)
            if let zone { try handle.set(CURLUPART_ZONEID, zone) }
        }
        self.host = host ?? ""
        let ownPort = try handle.get(CURLUPART_PORT, CURLU_NO_DEFAULT_PORT)
        isDefaultPort = ownPort == nil
        port = Int(try handle.get(CURLUPART_PORT, CURLU_DEFAULT_PORT) ?? "") ?? 0
        path = try handle.get(CURLUPART_PATH) ?? "/"
        query = try handle.get(CURLUPART_QUERY)
        user = try handle.get(CURLUPART_USER, CURLU_URLDECODE)
        password = try handle.get(CURLUPART_PASSWORD, CURLU_URLDECODE)
        text = try handle.get(CURLUPART_URL, CURLU_NO_DEFAULT_PORT) ?? ""
    }

    private static func asciiLowercased(_ text: String) -> String {
        String(
            decoding: text.utf8.map { byte in
                (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte + 32 : byte
            }, as: UTF8.self)
    }
}
