// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc

extension Descriptor {
    /// Whether neither the first nor the last byte of a file of this length is in the page cache. Nothing is waited for;
    /// a file system that cannot tell has everything there.
    public borrowing func isCold(size: Int64) -> Bool {
        guard size > 0, dld_is_in_page_cache(rawValue, 0) == 0 else { return false }
        return size <= 4096 || dld_is_in_page_cache(rawValue, size - 1) == 0
    }

    /// Takes a file that nobody is writing to out of the page cache. Advice: it is no error where that does not happen.
    /// The corresponding C function is `posix_fadvise` with POSIX_FADV_DONTNEED.
    public borrowing func dropFromCache() { _ = posix_fadvise(rawValue, 0, 0, POSIX_FADV_DONTNEED) }
}
