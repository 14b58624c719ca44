// SPDX-License-Identifier: Apache-2.0

import CCurl

/// libcurl behind types that cannot be misused.
///
/// Purpose: handles with one owner, contexts that are not their owners, errors as values, URLs read by one
/// parser.
/// Threads: a handle belongs to the thread that made it, and being `~Copyable` it cannot be in two places;
/// only `MultiWaker` and the values cross. `ParsedURL` may be used anywhere.
/// Diagnostics: a transfer that fails is a value (`CurlError`); a libcurl that cannot be set up throws at the
/// start, when the daemon cannot work; a handle used against its rules stops the process: our bug.
public enum CurlGlobal {
    /// Readies libcurl and its TLS library. Call once in `main`, before any thread.
    ///
    /// Never undone: `curl_global_cleanup` races with threads and OpenSSL's own exit handlers, and wins
    /// nothing.
    public static func initialize() throws(CurlError) {
        try check(curl_global_init(Int(CURL_GLOBAL_DEFAULT)))
    }

    /// libcurl and what it was built with, one line: `libcurl/7.88.1 OpenSSL/3.0.19 ...`.
    public static var version: String { unsafe String(cString: curl_version()) }
}
