// SPDX-License-Identifier: Apache-2.0

import CCurl

/// Names one running transfer of one multi handle. Reused after the transfer has left.
public struct TransferKey: Hashable, Sendable {
    fileprivate let address: UInt
}

/// A transfer that has ended.
public struct FinishedTransfer: Sendable {
    public let key: TransferKey
    /// nil for `CURLE_OK`, which says nothing about what was asked for.
    public let error: CurlError?
    public let reading: TransferReading
}

/// How many connections a multi handle may hold.
public struct ConnectionLimits: Sendable, Hashable {
    /// Idle and busy connections kept together (`CURLMOPT_MAXCONNECTS`).
    public var cacheSize: Int
    /// To one host, as the backstop; 0 is no limit (`CURLMOPT_MAX_HOST_CONNECTIONS`).
    public var perHost: Int
    /// Streams on one HTTP/2 connection (`CURLMOPT_MAX_CONCURRENT_STREAMS`).
    public var streams: Int
    public init(cacheSize: Int, perHost: Int = 0, streams: Int = 32) {
        self.cacheSize = cacheSize
        self.perHost = perHost
        self.streams = streams
    }
}

/// Runs transfers on the one thread that created it, over one cache of connections, with a pool of easy
/// handles.
@safe public struct MultiHandle: ~Copyable {
    private let raw: UnsafeMutableRawPointer
    /// The only part that other threads may touch.
    public let waker: MultiWaker
    private var running: [UInt: Slot] = [:]
    private var resting: [Slot] = []

    /// A dictionary cannot hold a `~Copyable` value, so a class of its own does.
    private final class Slot {
        var easy: EasyHandle?
        init(_ easy: consuming EasyHandle) { self.easy = consume easy }
    }

    /// Throws only without memory or descriptors.
    public static func make(limits: ConnectionLimits) throws(CurlError) -> MultiHandle {
        guard let raw = unsafe curl_multi_init() else { throw CurlError(code: .failedInit) }
        return unsafe MultiHandle(raw: raw, limits: limits)
    }

    private init(raw: UnsafeMutableRawPointer, limits: ConnectionLimits) {
        unsafe self.raw = raw
        unsafe waker = MultiWaker(raw)
        set(limits)
    }

    deinit {
        // Before the cleanup: wake() must never see a freed CURLM.
        waker.close()
        for slot in running.values {
            if let easy = slot.easy.take() { unsafe _ = curl_multi_remove_handle(raw, easy.raw) }
        }
        unsafe _ = curl_multi_cleanup(raw)
    }

    /// New limits for connections opened from now on.
    public mutating func set(_ limits: ConnectionLimits) {
        unsafe _ = dld_multi_setopt_long(raw, CURLMOPT_MAXCONNECTS, max(1, limits.cacheSize))
        unsafe _ = dld_multi_setopt_long(raw, CURLMOPT_MAX_HOST_CONNECTIONS, max(0, limits.perHost))
        unsafe _ = dld_multi_setopt_long(raw, CURLMOPT_MAX_CONCURRENT_STREAMS, max(1, limits.streams))
        unsafe _ = dld_multi_setopt_long(raw, CURLMOPT_PIPELINING, Int(CURLPIPE_MULTIPLEX))
    }

    /// Transfers under way.
    public var count: Int { running.count }

    /// A handle from the pool, or a new one: reset, with nothing set. `prepare` it next.
    public mutating func takeEasy() throws(CurlError) -> EasyHandle {
        if let slot = resting.popLast(), let easy = slot.easy.take() { return easy }
        return try EasyHandle.make()
    }

    /// Gives back a handle that was never added.
    public mutating func rest(_ easy: consuming EasyHandle) {
        easy.clear()
        resting.append(Slot(easy))
    }

    /// Starts a transfer. libcurl gets only what may start now: what it queues inside looks started.
    public mutating func add(_ easy: consuming EasyHandle) throws(CurlError) -> TransferKey {
        let address = unsafe UInt(bitPattern: easy.raw)
        let status = unsafe curl_multi_add_handle(raw, easy.raw)
        guard status == CURLM_OK else {
            throw CurlError(code: .failedInit, detail: unsafe String(cString: curl_multi_strerror(status)))
        }
        running[address] = Slot(easy)
        return TransferKey(address: address)
    }

    /// Moves every transfer on as far as it goes without waiting (`curl_multi_perform`). How many still run.
    @discardableResult
    public mutating func perform() -> Int {
        var left: Int32 = 0
        let status = unsafe curl_multi_perform(raw, &left)
        precondition(
            status == CURLM_OK, "curl_multi_perform: \(unsafe String(cString: curl_multi_strerror(status)))")
        return Int(left)
    }

    /// Sleeps until a socket is ready, a timer of libcurl's is due, `waker` is woken, or the time is over
    /// (`curl_multi_poll`). Rounded up to whole milliseconds.
    public func poll(atMost limit: Duration) {
        let (seconds, attoseconds) = limit.components
        let milliseconds =
            min(max(0, seconds), 86_400) * 1000 + max(0, attoseconds + 999_999_999_999_999)
            / 1_000_000_000_000_000
        unsafe _ = curl_multi_poll(raw, nil, 0, Int32(milliseconds), nil)
    }

    /// The next transfer that has ended, with everything known of it; its handle goes back to the pool.
    public mutating func nextFinished() -> FinishedTransfer? {
        var left: Int32 = 0
        while let message = unsafe curl_multi_info_read(raw, &left) {
            guard unsafe message.pointee.msg == CURLMSG_DONE else { continue }
            // Both copied before the handle is removed: the message dies with it.
            let address = unsafe UInt(bitPattern: message.pointee.easy_handle)
            let result = unsafe dld_message_result(message)
            let key = TransferKey(address: address)
            guard let slot = running[address], let easy = slot.easy.take() else {
                preconditionFailure("libcurl reports a transfer that it was not given")
            }
            let finished = FinishedTransfer(
                key: key, error: easy.error(result), reading: TransferReading(easy))
            release(address, slot, easy)
            return finished
        }
        return nil
    }

    /// Ends a transfer before its time; its handle goes back to the pool. An HTTP/1 connection is closed, an
    /// HTTP/2 stream reset. nil where it has already left.
    @discardableResult
    public mutating func remove(_ key: TransferKey) -> TransferReading? {
        guard let slot = running[key.address], let easy = slot.easy.take() else { return nil }
        let reading = TransferReading(easy)
        release(key.address, slot, easy)
        return reading
    }

    /// Lets a paused transfer go on. The block that was refused is offered again inside this call.
    /// The libcurl function is `curl_easy_pause`.
    /// - Returns: what went wrong. libcurl itself forgets it: `nextFinished` may call the transfer fine, with
    ///   the
    ///   refused block lost. The caller removes it.
    public mutating func unpause(_ key: TransferKey) -> CurlError? {
        guard let slot = running[key.address],
            let easy = unsafe UnsafeMutableRawPointer(bitPattern: key.address)
        else { return nil }
        // Asked through the address: the call may run callbacks, and holds nothing of this value while it
        // does.
        let result = unsafe curl_easy_pause(easy, CURLPAUSE_CONT)
        return slot.easy?.error(result)
    }

    /// Has a running transfer's connection closed with it, once no other transfer uses it. libcurl 7.88.1 leaves an HTTP/2
    /// stream that is stopped as it is until its connection is used again: the server goes on sending.
    /// The libcurl option is `CURLOPT_FORBID_REUSE`.
    public func forbidReuse(_ key: TransferKey) {
        guard let slot = running[key.address] else { return }
        slot.easy?.forbidReuse()
    }

    /// What is known of a running transfer so far. nil where it has already left.
    public func reading(of key: TransferKey) -> TransferReading? { running[key.address]?.easy?.reading() }

    private mutating func release(_ address: UInt, _ slot: Slot, _ easy: consuming EasyHandle) {
        unsafe _ = curl_multi_remove_handle(raw, easy.raw)
        running[address] = nil
        easy.clear()
        slot.easy = consume easy
        resting.append(slot)
    }
}
