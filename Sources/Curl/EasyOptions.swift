// SPDX-License-Identifier: Apache-2.0

import CCurl

/// Which HTTP versions may be spoken.
public enum HTTPVersionChoice: Sendable {
    /// HTTP/1.1 only.
    case http1
    /// HTTP/2 where TLS negotiates it, else HTTP/1.1.
    case http2OverTLS
}

/// How long to wait for what. All durations are held within what libcurl can carry.
extension EasyHandle {
    /// Time to a usable connection, name look-up and TLS included. The libcurl option is
    /// `CURLOPT_CONNECTTIMEOUT_MS`.
    public func setConnectTimeout(_ limit: Duration) throws(CurlError) {
        try set(CURLOPT_CONNECTTIMEOUT_MS, max(1, milliseconds(limit)))
    }
    /// Time for the whole transfer. The libcurl option is `CURLOPT_TIMEOUT_MS`.
    public func setTotalTimeout(_ limit: Duration) throws(CurlError) {
        try set(CURLOPT_TIMEOUT_MS, max(1, milliseconds(limit)))
    }
    /// Slower than this many bytes a second for so long ends the transfer as timed out. libcurl averages the
    /// speed over about 5 s, so the end comes up to 6 s late; a pause does not count.
    /// The libcurl options are `CURLOPT_LOW_SPEED_LIMIT` and `CURLOPT_LOW_SPEED_TIME`.
    public func setLowSpeedLimit(_ bytesPerSecond: Int64, for time: Duration) throws(CurlError) {
        try set(CURLOPT_LOW_SPEED_LIMIT, Int(min(max(1, bytesPerSecond), Int64(Int32.max))))
        try set(CURLOPT_LOW_SPEED_TIME, max(1, (milliseconds(time) + 999) / 1000))
    }
    private func milliseconds(_ limit: Duration) -> Int {
        let (seconds, attoseconds) = limit.components
        // A month is for ever here, and keeps clear of Int32 milliseconds.
        let held = min(max(0, seconds), 2_000_000)
        return Int(held) * 1000 + Int(max(0, attoseconds) / 1_000_000_000_000_000)
    }
}

/// What is asked, of whom.
extension EasyHandle {
    /// The libcurl option is `CURLOPT_URL`.
    public func setURL(_ url: String) throws(CurlError) { try set(CURLOPT_URL, url) }
    /// Schemes that may be used, for example `["http", "https"]`. The libcurl option is
    /// `CURLOPT_PROTOCOLS_STR`.
    public func setProtocols(_ schemes: some Collection<String>) throws(CurlError) {
        try set(CURLOPT_PROTOCOLS_STR, schemes.sorted().joined(separator: ","))
    }
    /// The libcurl option is `CURLOPT_HTTP_VERSION`.
    public func setHTTPVersion(_ choice: HTTPVersionChoice) throws(CurlError) {
        switch choice {
        case .http1: try set(CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_1_1))
        case .http2OverTLS: try set(CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_2TLS))
        }
    }
    /// Wait for a connection that can be shared rather than open another. Only towards a host known to speak
    /// HTTP/2. The libcurl option is `CURLOPT_PIPEWAIT`.
    public func setWaitsForMultiplex(_ waits: Bool) throws(CurlError) {
        try set(CURLOPT_PIPEWAIT, waits ? 1 : 0)
    }
    /// Open a connection whatever is there; it stays for others. The libcurl option is `CURLOPT_FRESH_CONNECT`.
    public func setOpensConnection() throws(CurlError) { try set(CURLOPT_FRESH_CONNECT, 1) }
    /// Bytes from `first` to the end. Not `RESUME_FROM`: that one ends with an error of its own where the
    /// server answers 200. Nothing of the answer is checked. The libcurl option is `CURLOPT_RANGE`.
    public func setRange(from first: Int64) throws(CurlError) { try set(CURLOPT_RANGE, "\(first)-") }
    /// Bytes from `first` to `last`, that one included; otherwise as above.
    public func setRange(from first: Int64, through last: Int64) throws(CurlError) {
        try set(CURLOPT_RANGE, "\(first)-\(last)")
    }
    /// Its connection is not kept. May be said while the transfer runs; a handle of ours takes it.
    func forbidReuse() {
        try? set(CURLOPT_FORBID_REUSE, 1)  // 7.88.1 knows it: there is nothing it could say
    }
    /// The libcurl option is `CURLOPT_USERAGENT`.
    public func setUserAgent(_ text: String) throws(CurlError) { try set(CURLOPT_USERAGENT, text) }
    /// The libcurl option is `CURLOPT_REFERER`.
    public func setReferer(_ text: String) throws(CurlError) { try set(CURLOPT_REFERER, text) }
    /// Basic authentication with this name and password, for this one request.
    /// The libcurl options are `CURLOPT_USERNAME`, `CURLOPT_PASSWORD` and `CURLOPT_HTTPAUTH`.
    public func setCredentials(user: String, password: String) throws(CurlError) {
        try set(CURLOPT_HTTPAUTH, 1)
        try set(CURLOPT_USERNAME, user)
        try set(CURLOPT_PASSWORD, password)
    }
    /// Request headers in their order. A field with a line break or NUL in it is refused: it would be another
    /// field. `omitted`: fields of libcurl's own that are not sent. The libcurl option is
    /// `CURLOPT_HTTPHEADER`.
    public func setHeaders(
        _ fields: [(name: String, value: String)], without omitted: [String] = []
    ) throws(CurlError) {
        var list: UnsafeMutablePointer<curl_slist>?
        // "Name:" is how libcurl is told not to send a field of its own.
        for name in omitted { unsafe list = curl_slist_append(list, "\(name):") }
        for field in fields {
            guard !field.name.isEmpty,
                !(field.name + field.value).utf8.contains(where: { $0 == 0 || $0 == 10 || $0 == 13 })
            else {
                unsafe curl_slist_free_all(list)
                throw CurlError(code: .badArgument, detail: "a line break or NUL in a request header")
            }
            // "Name;" is how libcurl is told to send a field without a value; "Name:" would drop it.
            let line = field.value.isEmpty ? "\(field.name);" : "\(field.name): \(field.value)"
            unsafe list = curl_slist_append(list, line)
        }
        try unsafe setHeaders(list)
    }
    /// Talks to this Unix socket instead of the URL's host. The libcurl option is `CURLOPT_UNIX_SOCKET_PATH`.
    public func setUnixSocketPath(_ path: String) throws(CurlError) {
        try set(CURLOPT_UNIX_SOCKET_PATH, path)
    }
    /// A request with this method. `hasBody`: its bytes come from the sink's `send`, `size` of them, nil for
    /// chunked. The libcurl options are `CURLOPT_CUSTOMREQUEST`, `CURLOPT_POST`,
    /// `CURLOPT_POSTFIELDSIZE_LARGE`.
    public func setMethod(_ method: String, hasBody: Bool, size: Int64?) throws(CurlError) {
        if hasBody {
            try set(CURLOPT_POST, 1)
            try set(CURLOPT_POSTFIELDSIZE_LARGE, large: size ?? -1)
        } else if method == "GET" {
            try set(CURLOPT_HTTPGET, 1)
        }
        if method != "GET" { try set(CURLOPT_CUSTOMREQUEST, method) }
    }
}

/// How a download is protected.
extension EasyHandle {
    /// Everything that would do more than was asked is off: redirects, netrc, decoding, HTTP/0.9.
    ///
    /// Each hop is a new decision of ours (`CURLOPT_FOLLOWLOCATION`), credentials come from the job only
    /// (`CURLOPT_NETRC`), files are stored as sent (`CURLOPT_HTTP_CONTENT_DECODING`; no Accept-Encoding is
    /// sent). The cookie engine is off as long as nobody turns it on.
    public func setPlainDownload() throws(CurlError) {
        try set(CURLOPT_FOLLOWLOCATION, 0)
        try set(CURLOPT_NETRC, Int(CURL_NETRC_IGNORED.rawValue))
        try set(CURLOPT_HTTP_CONTENT_DECODING, 0)
        try set(CURLOPT_HTTP09_ALLOWED, 0)
        try set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1)
        try set(CURLOPT_TCP_KEEPALIVE, 1)
        try set(CURLOPT_BUFFERSIZE, 65_536)
    }
    /// The proxy, or "" for none; what the environment says does not count either way.
    /// The libcurl options are `CURLOPT_PROXY` and `CURLOPT_NOPROXY`.
    public func setProxy(_ url: String) throws(CurlError) {
        try set(CURLOPT_PROXY, url)
        try set(CURLOPT_NOPROXY, "")
    }
    /// Whether the peer must prove who it is, and with which certificates (nil: the system's).
    /// The libcurl options are `CURLOPT_SSL_VERIFYPEER`, `CURLOPT_SSL_VERIFYHOST`, `CURLOPT_CAINFO`.
    public func setVerification(_ isOn: Bool, caFile: String?) throws(CurlError) {
        try set(CURLOPT_SSL_VERIFYPEER, isOn ? 1 : 0)
        try set(CURLOPT_SSL_VERIFYHOST, isOn ? 2 : 0)
        if let caFile { try set(CURLOPT_CAINFO, caFile) }
    }
}
