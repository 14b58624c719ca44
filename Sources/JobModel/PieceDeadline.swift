// SPDX-License-Identifier: Apache-2.0

/// How long a worker process may take over one piece of a CPU job before it is killed and the piece dealt again.
///
/// Two limits, because two things hang: a worker that gives no sign of life at all, and one whose file trickles for
/// ever from a disk or a mount that is as good as dead.
public struct PieceDeadline: Sendable, Hashable {
    /// Bytes a second below which a disk is not worth waiting for.
    public static let slowestRate: Int64 = 1 << 20
    /// Without a sign for so long it is killed.
    public let silence: Duration
    public init(silence: Duration) { self.silence = silence }

    /// For a piece that reads so many bytes (0: a sum): the silence, and a second for each `slowestRate` of them.
    /// - Parameter rate: bytes a second that it is held to; what that takes is no fault of the disk.
    public func limit(bytes: Int64, rate: Int64? = nil) -> Duration {
        let bytes = max(0, bytes)
        let held = rate.map { Duration.seconds(bytes / max(1, $0)) } ?? .zero
        return silence + .seconds(bytes / Self.slowestRate) + held
    }
}
