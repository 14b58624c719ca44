// SPDX-License-Identifier: Apache-2.0

import CCurl
import Glibc

// A server says in a GOAWAY that it will not go on with a connection. libcurl keeps that to itself: a stream that is
// cut off then ends like any other. The only place where it speaks of it is its verbose text.

/// Listens on a transfer that turned out to be HTTP/2, from its status line on.
///
/// Not before: a handle that is verbose while it connects makes OpenSSL report each record of that connection for as
/// long as it lives. From here on it costs a call a block of body, which looks at a number and returns.
func listenForGoAway(_ context: CallbackContext, statusLine bytes: UnsafePointer<CChar>, count: Int) {
    guard count > 6, unsafe memcmp(bytes, "HTTP/2", 6) == 0 else { return }
    let raw = unsafe context.raw
    let own = unsafe Unmanaged.passUnretained(context).toOpaque()
    // What libcurl refuses here is a GOAWAY less that is heard: no more than that.
    _ = unsafe dld_easy_setopt_pointer(raw, CURLOPT_DEBUGDATA, own)
    _ = unsafe dld_easy_setopt_debug(raw, CURLOPT_DEBUGFUNCTION, onTrace)
    _ = unsafe dld_easy_setopt_long(raw, CURLOPT_VERBOSE, 1)
}

private func onTrace(
    _ handle: UnsafeMutableRawPointer?, _ kind: curl_infotype, _ text: UnsafeMutablePointer<CChar>?,
    _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int32 {
    guard kind == CURLINFO_TEXT, let text = unsafe text, count > 16 else { return 0 }
    // 7.88 cannot spell it, later ones can.
    guard unsafe memcmp(text, "recveived GOAWAY", 16) == 0 || memcmp(text, "received GOAWAY,", 16) == 0 else {
        return 0
    }
    let context = unsafe CallbackContext.of(context)
    var port = 0
    _ = unsafe dld_easy_getinfo_long(context.raw, CURLINFO_LOCAL_PORT, &port)
    context.sink?.connectionGoesAway(localPort: port)
    return 0
}
