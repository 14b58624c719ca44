// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import SystemPackage

/// The words to the service manager (sd_notify(3)): datagrams to $NOTIFY_SOCKET. The protocol is documented
/// as stable, so no library is needed for it.
///
/// Without the variable every call does nothing. A send never blocks and never fails the caller: a full queue
/// or a manager that is gone loses the message, and the watchdog word comes again. Callable from any thread.
public final class NotifySocket: Sendable {
    /// One assignment of a message.
    public enum Word: Sendable, Hashable {
        /// Start-up is done, or a reload is.
        case ready
        /// A reload begins; carries CLOCK_MONOTONIC as `Type=notify-reload` asks for it.
        case reloading
        case stopping
        /// One line for `systemctl status`; control characters become spaces.
        case status(String)
        case watchdog
        /// The present phase (start, reload or stop) may take so much longer from now.
        case extendTimeout(Duration)
        /// Who is the main process, where that is not the sender.
        case mainProcess(Int32)

        var lines: String {
            switch self {
            case .ready: "READY=1"
            case .reloading: "RELOADING=1\nMONOTONIC_USEC=\(Monotonic.nanoseconds() / 1000)"
            case .stopping: "STOPPING=1"
            case .status(let text): "STATUS=" + Self.oneLine(text)
            case .watchdog: "WATCHDOG=1"
            case .extendTimeout(let time): "EXTEND_TIMEOUT_USEC=\(NotifySocket.microseconds(time))"
            case .mainProcess(let pid): "MAINPID=\(pid)"
            }
        }

        /// A line break would start another assignment.
        private static func oneLine(_ text: String) -> String {
            String(decoding: text.utf8.map { $0 < 0x20 || $0 == 0x7f ? 0x20 : $0 }, as: UTF8.self)
        }
    }

    private let socket: Descriptor?

    /// - Parameter address: $NOTIFY_SOCKET: a path, or `@` and a name in the abstract namespace; nil or
    ///   empty: no manager listens. Other kinds (vsock) are not spoken and refused.
    public init(address: String?) throws(SystemError) {
        guard let address, !address.isEmpty else {
            socket = nil
            return
        }
        let isAbstract = address.utf8.first == UInt8(ascii: "@")
        guard isAbstract || address.utf8.first == UInt8(ascii: "/") else {
            throw SystemError(.addressFamilyNotSupported, "connect", "NOTIFY_SOCKET=\(address)")
        }
        let type = Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let opened = Descriptor(
            owning: try systemCall("socket", address) { () in Glibc.socket(AF_UNIX, type, 0) })
        let name = isAbstract ? Array(address.utf8.dropFirst()) : Array(address.utf8)
        let number = opened.rawValue
        _ = try systemCall("connect", "NOTIFY_SOCKET=\(address)") { () in
            unsafe name.withUnsafeBytes { bytes in
                unsafe dld_connect_datagram(
                    number, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count,
                    isAbstract ? 1 : 0)
            }
        }
        socket = consume opened
    }

    /// From the environment. The variables stay there for this process and its tests of them; children
    /// started with `Spawn` do not get them.
    public static func fromEnvironment() throws(SystemError) -> NotifySocket {
        try NotifySocket(address: Environment.value("NOTIFY_SOCKET"))
    }

    /// Whether a manager listens.
    public var isConnected: Bool { socket != nil }

    /// One datagram with all the words, in order.
    /// - Returns: whether it went out; false also without a manager.
    @discardableResult
    public func send(_ words: Word...) -> Bool {
        switch socket {
        case .none: return false
        case .some(let socket):
            let message = Array(words.map(\.lines).joined(separator: "\n").utf8)
            let number = socket.rawValue
            let count = unsafe message.withUnsafeBytes { bytes in
                unsafe Glibc.send(number, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
            }
            return count == message.count
        }
    }

    static func microseconds(_ time: Duration) -> Int64 {
        let (seconds, attoseconds) = time.components
        // Far beyond what any unit file asks for, and far from overflow.
        return min(max(seconds, 0), 1 << 40) * 1_000_000 + max(attoseconds, 0) / 1_000_000_000_000
    }
}

/// How often the service manager wants to hear `watchdog` (sd_watchdog_enabled(3)).
public enum WatchdogRequest {
    /// The limit, from $WATCHDOG_USEC, if it is for this process ($WATCHDOG_PID absent or ours); else nil.
    /// Send at half of it.
    public static func limit(
        microseconds: String?, pid: String?, ownPID: Int32
    ) -> Duration? {
        if let pid, Int32(pid) != ownPID { return nil }
        guard let microseconds, let value = Int64(microseconds), value > 0 else { return nil }
        return .microseconds(value)
    }

    /// The same from the environment.
    public static func fromEnvironment() -> Duration? {
        limit(
            microseconds: Environment.value("WATCHDOG_USEC"), pid: Environment.value("WATCHDOG_PID"),
            ownPID: getpid())
    }
}
