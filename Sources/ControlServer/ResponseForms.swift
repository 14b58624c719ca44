// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import Glibc
import HTTPTypes
import HummingbirdCore
import NIOCore

extension ControlResponder {
    static func json(_ document: some Encodable, status: HTTPResponse.Status = .ok) throws -> Response {
        // A line feed at the end: `curl` on a terminal leaves the prompt where it belongs.
        let bytes = try ControlAPI.encode(document) + [UInt8(ascii: "\n")]
        return Response(
            status: status, headers: [.contentType: "application/json"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
    }

    /// Format 0.0.4 of Prometheus' text exposition.
    static func metrics(_ text: String) -> Response {
        Response(
            status: .ok, headers: [.contentType: "text/plain; version=0.0.4; charset=utf-8"],
            body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
    }

    static func response(_ failure: ControlFailure) -> Response {
        var headers: HTTPFields = [.contentType: "application/json"]
        if let allow = failure.allow { headers[.allow] = allow }
        if failure.status == 503 { headers[.retryAfter] = "1" }
        return Response(
            status: HTTPResponse.Status(code: failure.status), headers: headers,
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: failure.json)))
    }

    /// Who stands at the other end, from SO_PEERCRED: the kernel's word at the time of connect.
    func peer(of channel: any Channel) async -> Peer {
        guard let provider = channel as? any SocketOptionProvider else { return Peer(uid: nil, pid: nil) }
        do {
            let credentials: PeerCredentials = try await provider.unsafeGetSocketOption(
                level: NIOBSDSocket.OptionLevel(rawValue: SOL_SOCKET),
                name: NIOBSDSocket.Option(rawValue: SO_PEERCRED)
            ).get()
            return Peer(uid: credentials.uid, pid: credentials.pid)
        } catch {
            return Peer(uid: nil, pid: nil)
        }
    }

    /// The layout of the kernel's `struct ucred` (unix(7)).
    private struct PeerCredentials: Sendable {
        var pid: Int32
        var uid: UInt32
        var gid: UInt32
    }
}
