// SPDX-License-Identifier: Apache-2.0

import CCurl

/// One transfer's settings and, once added to a `MultiHandle`, the transfer itself.
///
/// Made, set up and given away on one thread. Reused by `MultiHandle`'s pool: what a transfer left in it is
/// reset, its connections belong to the multi handle and stay warm.
@safe public struct EasyHandle: ~Copyable {
    let raw: UnsafeMutableRawPointer
    private let context: Unmanaged<CallbackContext>

    private init(raw: UnsafeMutableRawPointer) {
        unsafe self.raw = raw
        unsafe context = Unmanaged.passRetained(CallbackContext(raw))
    }

    /// A fresh handle. Throws only without memory.
    public static func make() throws(CurlError) -> EasyHandle {
        guard let raw = unsafe curl_easy_init() else { throw CurlError(code: .failedInit) }
        return unsafe EasyHandle(raw: raw)
    }

    deinit {
        unsafe curl_easy_cleanup(raw)
        // After the cleanup: it may still call back.
        unsafe context.release()
    }

    /// Forgets the last transfer (`curl_easy_reset`), if there was one, and takes what every transfer of the house needs: the
    /// callbacks, the error buffer, no signals, no wait for a name look-up that nobody needs any more.
    public func prepare(sink: any TransferSink) throws(CurlError) {
        let context = unsafe context.takeUnretainedValue()
        if !context.isClear { clear() }
        context.isClear = false
        context.sink = sink
        try unsafe installCallbacks(raw, self.context.toOpaque())
        try unsafe check(dld_easy_setopt_pointer(raw, CURLOPT_ERRORBUFFER, context.errorBuffer))
        try set(CURLOPT_NOSIGNAL, 1)
        // Without it a timed-out look-up blocked curl_multi_perform, and all transfers with it, for 9 s.
        try set(CURLOPT_QUICK_EXIT, 1)
        try set(CURLOPT_NOPROGRESS, 1)
    }

    /// Lets go of sink, headers and options. The pool calls it before a handle rests.
    func clear() {
        unsafe curl_easy_reset(raw)
        unsafe context.takeUnretainedValue().reset()
    }

    /// Runs this one transfer to its end on the calling thread (`curl_easy_perform`).
    public func performBlocking() throws(CurlError) {
        if let error = error(unsafe curl_easy_perform(raw)) { throw error }
    }

    /// The result as one value: code, libcurl's sentence, errno. nil for `CURLE_OK`.
    func error(_ result: CURLcode) -> CurlError? {
        guard result != CURLE_OK else { return nil }
        let context = unsafe context.takeUnretainedValue()
        let detail = unsafe String(cString: context.errorBuffer)
        let reported = Int32(truncatingIfNeeded: long(CURLINFO_OS_ERRNO))
        return CurlError(
            code: .init(result), detail: detail.isEmpty ? nil : detail,
            systemCode: context.socketCode != 0 ? context.socketCode : reported)
    }

    /// The address that the policy refused, if it refused one.
    var deniedAddress: PeerAddress? { unsafe context.takeUnretainedValue().deniedAddress }

    // The typed ways in and out, for the extensions of this module.

    func set(_ option: CURLoption, _ value: Int) throws(CurlError) {
        try unsafe check(dld_easy_setopt_long(raw, option, value))
    }
    func set(_ option: CURLoption, large value: Int64) throws(CurlError) {
        try unsafe check(dld_easy_setopt_off(raw, option, curl_off_t(value)))
    }
    /// A NUL would cut the text short inside C, so that what was checked is not what is used: refused.
    func set(_ option: CURLoption, _ text: String) throws(CurlError) {
        guard !text.utf8.contains(0) else {
            throw CurlError(code: .badArgument, detail: "a NUL byte in an option")
        }
        try unsafe check(text.withCString { unsafe dld_easy_setopt_string(raw, option, $0) })
    }
    func setHeaders(_ list: UnsafeMutablePointer<curl_slist>?) throws(CurlError) {
        let context = unsafe context.takeUnretainedValue()
        unsafe curl_slist_free_all(context.headers)
        unsafe context.headers = list
        try unsafe check(dld_easy_setopt_slist(raw, CURLOPT_HTTPHEADER, list))
    }
    func long(_ information: CURLINFO) -> Int {
        var value = 0
        _ = unsafe dld_easy_getinfo_long(raw, information, &value)
        return value
    }
    func large(_ information: CURLINFO) -> Int64 {
        var value: curl_off_t = 0
        _ = unsafe dld_easy_getinfo_off(raw, information, &value)
        return Int64(value)
    }
    func string(_ information: CURLINFO) -> String? {
        var value: UnsafePointer<CChar>?
        _ = unsafe dld_easy_getinfo_string(raw, information, &value)
        return unsafe value.map { unsafe String(cString: $0) }
    }
}
