// SPDX-License-Identifier: Apache-2.0

/// Bytes of a file from `start` up to `end`, which is one beyond the last. Stored as `[start, end]`.
public struct ByteRange: Sendable, Hashable, Codable {
    public let start: Int64
    public let end: Int64

    /// Precondition: `0 <= start <= end`.
    public init(_ start: Int64, _ end: Int64) {
        precondition(0 <= start && start <= end, "a range runs upwards")
        self.start = start
        self.end = end
    }

    public var count: Int64 { end - start }

    public init(from decoder: any Decoder) throws {
        var pair = try decoder.unkeyedContainer()
        let (start, end) = (try pair.decode(Int64.self), try pair.decode(Int64.self))
        guard 0 <= start, start <= end else {
            throw DecodingError.dataCorruptedError(in: pair, debugDescription: "a range runs upwards")
        }
        self.init(start, end)
    }
    public func encode(to encoder: any Encoder) throws {
        var pair = encoder.unkeyedContainer()
        try pair.encode(start)
        try pair.encode(end)
    }
}
