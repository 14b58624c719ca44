// SPDX-License-Identifier: Apache-2.0

import CCurl

/// What libcurl knows of a transfer, most of all when it ends, copied out of the handle at once.
public struct TransferReading: Sendable, Hashable {
    /// Of the last answer; 0 where none came (`CURLINFO_RESPONSE_CODE`).
    public var status: Int
    /// `1.0`, `1.1` or `2`; nil where no answer came (`CURLINFO_HTTP_VERSION`).
    public var httpVersion: String?
    /// Numeric address of the peer, or of the proxy (`CURLINFO_PRIMARY_IP`).
    public var address: String?
    /// Our own port of the connection; 0 where there was none (`CURLINFO_LOCAL_PORT`).
    public var localPort: Int
    /// Connections opened for this transfer; 0 on a reused one (`CURLINFO_NUM_CONNECTS`).
    public var newConnections: Int
    /// Clocks since the start of the transfer, microseconds, each including those before it; 0 where the
    /// transfer did not get there (`CURLINFO_NAMELOOKUP_TIME_T` and its kin).
    public var nameLookup: Int64
    public var connect: Int64
    public var tls: Int64
    public var preTransfer: Int64
    public var firstByte: Int64
    public var total: Int64
    /// The policy refused this address.
    public var deniedAddress: PeerAddress?

    /// From a request to the first byte of its answer at best: the handshake of a new connection, else the wait for this
    /// answer. Zero before that.
    public var roundTrip: Duration {
        .microseconds(max(0, newConnections > 0 ? connect - nameLookup : firstByte - preTransfer))
    }

    init(_ easy: borrowing EasyHandle) {
        status = easy.long(CURLINFO_RESPONSE_CODE)
        switch Int32(truncatingIfNeeded: easy.long(CURLINFO_HTTP_VERSION)) {
        case Int32(CURL_HTTP_VERSION_1_0): httpVersion = "1.0"
        case Int32(CURL_HTTP_VERSION_1_1): httpVersion = "1.1"
        case Int32(CURL_HTTP_VERSION_2_0): httpVersion = "2"
        default: httpVersion = nil
        }
        let address = easy.string(CURLINFO_PRIMARY_IP) ?? ""
        self.address = address.isEmpty ? nil : address
        localPort = easy.long(CURLINFO_LOCAL_PORT)
        newConnections = easy.long(CURLINFO_NUM_CONNECTS)
        nameLookup = easy.large(CURLINFO_NAMELOOKUP_TIME_T)
        connect = easy.large(CURLINFO_CONNECT_TIME_T)
        tls = easy.large(CURLINFO_APPCONNECT_TIME_T)
        preTransfer = easy.large(CURLINFO_PRETRANSFER_TIME_T)
        firstByte = easy.large(CURLINFO_STARTTRANSFER_TIME_T)
        total = easy.large(CURLINFO_TOTAL_TIME_T)
        deniedAddress = easy.deniedAddress
    }
}

extension EasyHandle {
    /// What libcurl knows of the transfer that ran last. Owner only.
    public func reading() -> TransferReading { TransferReading(self) }
}
