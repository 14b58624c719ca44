// SPDX-License-Identifier: Apache-2.0

import CCurl
import Locking

/// Wakes a multi handle's thread out of `poll`; the only part of it that other threads may touch.
///
/// A thread may call `wake` after the loop has returned. The address is zeroed under the lock before
/// `curl_multi_cleanup`, so a late call finds 0: no captured pointer could promise that.
public final class MultiWaker: Sendable {
    private let target: Guarded<UInt>

    init(_ raw: UnsafeMutableRawPointer) { target = Guarded(UInt(bitPattern: raw)) }

    /// Any thread, any time. The libcurl function is `curl_multi_wakeup`.
    public func wake() {
        target.withLock { address in
            guard let raw = unsafe UnsafeMutableRawPointer(bitPattern: address) else { return }
            unsafe _ = curl_multi_wakeup(raw)
        }
    }

    func close() { target.withLock { $0 = 0 } }
}
