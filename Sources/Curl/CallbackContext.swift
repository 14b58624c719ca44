// SPDX-License-Identifier: Apache-2.0

import CCurl

/// What to do with the block just offered.
public enum WriteVerdict: Sendable {
    /// It has been taken, all of it.
    case proceed
    /// Not now: libcurl keeps the block and offers it again after `MultiHandle.unpause`.
    case pause
    /// End the transfer. The sink parks the reason; libcurl only knows `writeError`.
    case abort
}

/// What to do after a header line.
public enum HeaderVerdict: Sendable {
    case proceed
    /// Go on, but let no other transfer ride this connection.
    case proceedThenClose
    case abort
}

/// Who takes what a transfer brings. Called by libcurl on the loop's thread, inside `perform`, `unpause`,
/// `add` or `remove`: it must not touch the multi handle, throw, block for long, or log.
public protocol TransferSink: AnyObject {
    /// One raw header line with its CRLF; also status lines of interim answers, and trailers.
    func receiveHeader(_ line: borrowing RawSpan) -> HeaderVerdict
    /// At most 16 KiB of body (`CURL_MAX_WRITE_SIZE`); the bytes are gone when the call returns.
    func receive(_ block: borrowing RawSpan) -> WriteVerdict
    /// Asked before each new connection (`CURLOPT_OPENSOCKETFUNCTION`) and before each request, also on a
    /// warm connection (`CURLOPT_PREREQFUNCTION`).
    func permits(_ address: PeerAddress) -> Bool
    /// Its request goes out over this connection: a new one, a warm one, or one that others ride too.
    func rides(_ connection: ConnectionName)
    /// The server takes no more streams on the connection of this transfer, which has this port on our side, and may
    /// cut off those that are open on it.
    func connectionGoesAway(localPort: Int)
    /// The next bytes of a request body, at most what the buffer holds: how many, 0 at the end, nil to abort.
    func send(into buffer: UnsafeMutableRawBufferPointer) -> Int?
}

extension TransferSink {
    public func receiveHeader(_ line: borrowing RawSpan) -> HeaderVerdict { .proceed }
    public func permits(_ address: PeerAddress) -> Bool { true }
    public func rides(_ connection: ConnectionName) {}
    public func connectionGoesAway(localPort: Int) {}
    public func send(into buffer: UnsafeMutableRawBufferPointer) -> Int? { 0 }
}

/// What libcurl hands back to us in every callback of one easy handle.
///
/// A separate object, never the handle's owner: libcurl calls back *during* `curl_easy_cleanup` and
/// `curl_multi_cleanup`, when the owner is already in its deinit.
@safe final class CallbackContext {
    let raw: UnsafeMutableRawPointer
    var sink: (any TransferSink)?
    /// Where libcurl writes its sentence. Allocated, not an Array's storage: libcurl keeps the pointer.
    let errorBuffer: UnsafeMutablePointer<CChar>
    /// Request headers; libcurl keeps the pointer, so they live until the next reset.
    var headers: UnsafeMutablePointer<curl_slist>?
    /// The policy refused an address: why the transfer will fail.
    var deniedAddress: PeerAddress?
    /// The errno of a socket call that failed in our callback: libcurl only hears "bad socket".
    var socketCode: Int32 = 0
    /// Nothing has been set since the last reset.
    var isClear = true

    init(_ raw: UnsafeMutableRawPointer) {
        unsafe self.raw = raw
        unsafe errorBuffer = .allocate(capacity: Int(CURL_ERROR_SIZE))
        unsafe errorBuffer.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
    }

    deinit {
        unsafe curl_slist_free_all(headers)
        unsafe errorBuffer.deallocate()
    }

    /// Back to the state of a new handle, for the next transfer.
    func reset() {
        sink = nil
        deniedAddress = nil
        socketCode = 0
        isClear = true
        unsafe curl_slist_free_all(headers)
        unsafe headers = nil
        unsafe errorBuffer.pointee = 0
    }

    func permits(_ address: PeerAddress?) -> Bool {
        guard let sink else { return true }
        // A Unix socket has none to show; what cannot be read is of no family, and for the sink to refuse.
        let address = address ?? .other(family: 0)
        if sink.permits(address) { return true }
        deniedAddress = address
        return false
    }

    static func of(_ pointer: UnsafeMutableRawPointer?) -> CallbackContext {
        unsafe Unmanaged<CallbackContext>.fromOpaque(pointer!).takeUnretainedValue()
    }
}
