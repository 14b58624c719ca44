// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import ControlClient
import Glibc
import JobModel

/// The terminal, or whatever stands in its place.
enum Console {
    static func write(_ text: String) { write(Array(text.utf8)) }
    static func write(_ bytes: [UInt8]) { write(bytes, to: STDOUT_FILENO) }

    /// `dlctl: MESSAGE` on standard error.
    static func complain(_ message: String) { write(Array("dlctl: \(message)\n".utf8), to: STDERR_FILENO) }
    /// A line on standard error that the next one takes the place of.
    static func progress(_ line: String) { write(Array("\r\u{1B}[K\(line)".utf8), to: STDERR_FILENO) }

    private static func write(_ bytes: [UInt8], to descriptor: Int32) {
        var sent = 0
        while sent < bytes.count {
            let count = unsafe bytes[sent...].withUnsafeBytes {
                unsafe Glibc.write(descriptor, $0.baseAddress, $0.count)
            }
            if count < 0 && errno == EINTR { continue }
            // Nobody is there to be told that nobody is there.
            guard count > 0 else { return }
            sent += count
        }
    }

    static func environment(_ name: String) -> String? {
        unsafe getenv(name).map { unsafe String(cString: $0) }
    }

    static var outputIsTerminal: Bool { isatty(STDOUT_FILENO) == 1 }
    static var errorIsTerminal: Bool { isatty(STDERR_FILENO) == 1 }

    /// Of the terminal; 80 where there is none.
    static func columns(of descriptor: Int32) -> Int {
        var size = winsize()
        guard unsafe ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
        return Int(size.ws_col)
    }

    /// How views look here: colour on a terminal only, and not where NO_COLOR is set (no-color.org) or the
    /// terminal
    /// is dumb.
    static func style(showsAll: Bool = false) -> ViewStyle {
        let refusesColor = environment("NO_COLOR").map { !$0.isEmpty } ?? false
        let now = now()
        return ViewStyle(
            columns: columns(of: STDOUT_FILENO),
            isColored: outputIsTerminal && !refusesColor && environment("TERM") != "dumb", showsAll: showsAll,
            clock: { LocalTime.text($0, now: now, seconds: $1) })
    }

    static func now() -> WallTime {
        var time = timespec()
        unsafe _ = clock_gettime(CLOCK_REALTIME, &time)
        return WallTime(milliseconds: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
    }
    static func monotonic() -> MonotonicTime {
        var time = timespec()
        unsafe _ = clock_gettime(CLOCK_MONOTONIC, &time)
        return MonotonicTime(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }
    static func sleep(_ duration: Duration) {
        // Between two questions to the daemon; there is nothing to be woken by.
        let milliseconds = min(max(0, duration.nanosecondsClamped / 1_000_000), 3_600_000)
        _ = poll(nil, 0, Int32(milliseconds))
    }
}
