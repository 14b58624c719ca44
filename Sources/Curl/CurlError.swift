// SPDX-License-Identifier: Apache-2.0

import CCurl

/// A libcurl result other than `CURLE_OK`: its code and its own sentence as one value.
public struct CurlError: Error, Sendable, Hashable, CustomStringConvertible {
    /// A `CURLcode`. An open set: a newer libcurl may answer codes that this program has no name for.
    public struct Code: RawRepresentable, Sendable, Hashable {
        public let rawValue: UInt32
        public init(rawValue: UInt32) { self.rawValue = rawValue }
        init(_ code: CURLcode) { rawValue = code.rawValue }

        public static let unsupportedProtocol = Code(CURLE_UNSUPPORTED_PROTOCOL)
        public static let malformedURL = Code(CURLE_URL_MALFORMAT)
        public static let cannotResolveProxy = Code(CURLE_COULDNT_RESOLVE_PROXY)
        public static let cannotResolveHost = Code(CURLE_COULDNT_RESOLVE_HOST)
        public static let cannotConnect = Code(CURLE_COULDNT_CONNECT)
        public static let weirdServerReply = Code(CURLE_WEIRD_SERVER_REPLY)
        public static let accessDenied = Code(CURLE_REMOTE_ACCESS_DENIED)
        public static let http2 = Code(CURLE_HTTP2)
        public static let partialFile = Code(CURLE_PARTIAL_FILE)
        public static let writeError = Code(CURLE_WRITE_ERROR)
        public static let outOfMemory = Code(CURLE_OUT_OF_MEMORY)
        public static let timedOut = Code(CURLE_OPERATION_TIMEDOUT)
        public static let tlsConnect = Code(CURLE_SSL_CONNECT_ERROR)
        public static let abortedByCallback = Code(CURLE_ABORTED_BY_CALLBACK)
        public static let gotNothing = Code(CURLE_GOT_NOTHING)
        public static let sendError = Code(CURLE_SEND_ERROR)
        public static let receiveError = Code(CURLE_RECV_ERROR)
        public static let tlsPeerVerification = Code(CURLE_PEER_FAILED_VERIFICATION)
        public static let tlsCipher = Code(CURLE_SSL_CIPHER)
        public static let tlsCertificateFile = Code(CURLE_SSL_CACERT_BADFILE)
        public static let tlsIssuer = Code(CURLE_SSL_ISSUER_ERROR)
        public static let tlsShutdown = Code(CURLE_SSL_SHUTDOWN_FAILED)
        public static let http2Stream = Code(CURLE_HTTP2_STREAM)
        public static let proxy = Code(CURLE_PROXY)
        public static let loginDenied = Code(CURLE_LOGIN_DENIED)
        public static let remoteFileNotFound = Code(CURLE_REMOTE_FILE_NOT_FOUND)
        public static let badArgument = Code(CURLE_BAD_FUNCTION_ARGUMENT)
        public static let failedInit = Code(CURLE_FAILED_INIT)
    }

    public let code: Code
    /// libcurl's sentence for this very case (`CURLOPT_ERRORBUFFER`), if it wrote one. May quote the server:
    /// escape it before showing.
    public let detail: String?
    /// The `errno` of a failed connect or socket call, 0 where there was none (`CURLINFO_OS_ERRNO`).
    public let systemCode: Int32

    public init(code: Code, detail: String? = nil, systemCode: Int32 = 0) {
        self.code = code
        self.detail = detail
        self.systemCode = systemCode
    }

    /// libcurl's sentence for this case, else the one for its code.
    public var description: String {
        if let detail { return detail }
        return unsafe String(cString: curl_easy_strerror(CURLcode(rawValue: code.rawValue)))
    }
}

/// Turns a result into a throw. Options and initialisation only: a transfer's result is a value.
func check(_ code: CURLcode) throws(CurlError) {
    guard code == CURLE_OK else { throw CurlError(code: .init(code)) }
}
