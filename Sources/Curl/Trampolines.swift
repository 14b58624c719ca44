// SPDX-License-Identifier: Apache-2.0

import CCurl
import Glibc

// The C functions that libcurl calls: each recovers the context, asks the sink and maps its verdict. No
// allocation, no logging, no lock, no throw.

func installCallbacks(_ raw: UnsafeMutableRawPointer, _ context: UnsafeMutableRawPointer) throws(CurlError) {
    try unsafe check(dld_easy_setopt_pointer(raw, CURLOPT_WRITEDATA, context))
    try unsafe check(dld_easy_setopt_write(raw, CURLOPT_WRITEFUNCTION, onWrite))
    try unsafe check(dld_easy_setopt_pointer(raw, CURLOPT_HEADERDATA, context))
    try unsafe check(dld_easy_setopt_write(raw, CURLOPT_HEADERFUNCTION, onHeader))
    try unsafe check(dld_easy_setopt_pointer(raw, CURLOPT_READDATA, context))
    try unsafe check(dld_easy_setopt_read(raw, CURLOPT_READFUNCTION, onRead))
    try unsafe check(dld_easy_setopt_pointer(raw, CURLOPT_OPENSOCKETDATA, context))
    try unsafe check(dld_easy_setopt_opensocket(raw, CURLOPT_OPENSOCKETFUNCTION, onOpenSocket))
    try unsafe check(dld_easy_setopt_pointer(raw, CURLOPT_PREREQDATA, context))
    try unsafe check(dld_easy_setopt_prereq(raw, CURLOPT_PREREQFUNCTION, onRequest))
    // CLOSESOCKETFUNCTION stays unset: libcurl calls it when the handle and its context are long gone.
}

private func onWrite(
    _ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
    let context = unsafe CallbackContext.of(context)
    guard let bytes = unsafe bytes, let sink = context.sink else { return 0 }
    switch sink.receive(unsafe RawSpan(_unsafeStart: UnsafeRawPointer(bytes), byteCount: size * count)) {
    case .proceed: return size * count
    case .pause: return Int(dld_writefunc_pause)
    // Any other count than the one offered makes libcurl end the transfer with CURLE_WRITE_ERROR.
    case .abort: return size * count == 0 ? 1 : 0
    }
}

private func onHeader(
    _ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
    let context = unsafe CallbackContext.of(context)
    guard let bytes = unsafe bytes, let sink = context.sink else { return 0 }
    unsafe listenForGoAway(context, statusLine: bytes, count: size * count)
    switch sink.receiveHeader(unsafe RawSpan(_unsafeStart: UnsafeRawPointer(bytes), byteCount: size * count))
    {
    case .proceed: return size * count
    case .proceedThenClose:
        // Read by libcurl when the transfer is done.
        _ = unsafe dld_easy_setopt_long(context.raw, CURLOPT_FORBID_REUSE, 1)
        return size * count
    case .abort: return 0
    }
}

private func onRead(
    _ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
    let context = unsafe CallbackContext.of(context)
    guard let bytes = unsafe bytes, let sink = context.sink else { return Int(CURL_READFUNC_ABORT) }
    let buffer = unsafe UnsafeMutableRawBufferPointer(start: bytes, count: size * count)
    guard let sent = unsafe sink.send(into: buffer) else { return Int(CURL_READFUNC_ABORT) }
    return min(sent, size * count)
}

private func onOpenSocket(
    _ context: UnsafeMutableRawPointer?, _ purpose: curlsocktype,
    _ address: UnsafeMutablePointer<curl_sockaddr>?
) -> curl_socket_t {
    guard let address = unsafe address else { return dld_socket_bad() }
    let context = unsafe CallbackContext.of(context)
    guard context.permits(unsafe PeerAddress(address)) else { return dld_socket_bad() }
    let kind = unsafe address.pointee.socktype | Int32(SOCK_CLOEXEC.rawValue)
    let socket = unsafe socket(address.pointee.family, kind, address.pointee.protocol)
    if socket == -1 { context.socketCode = errno }
    return socket
}

private func onRequest(
    _ context: UnsafeMutableRawPointer?, _ peer: UnsafeMutablePointer<CChar>?,
    _ local: UnsafeMutablePointer<CChar>?,
    _ peerPort: Int32, _ localPort: Int32
) -> Int32 {
    let address = unsafe peer.flatMap { unsafe PeerAddress(numeric: String(cString: $0)) }
    let context = unsafe CallbackContext.of(context)
    let isPermitted = context.permits(address)
    guard isPermitted else {
        // A warm HTTP/2 connection that a request was refused on failed the next one with "bad argument": not kept.
        _ = unsafe dld_easy_setopt_long(context.raw, CURLOPT_FORBID_REUSE, 1)
        return Int32(dld_prereqfunc_abort)
    }
    if let address, localPort > 0 {
        context.sink?.rides(ConnectionName(localPort: Int(localPort), peer: address))
    }
    return Int32(dld_prereqfunc_ok)
}
