// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials

/// How a file is cut into pieces that have a digest each: all of one length, the last one may be shorter.
public struct PieceLayout: Sendable, Hashable, Codable {
    public let algorithm: DigestAlgorithm
    /// Bytes of a piece, at least 1.
    public let length: Int64
    /// At least 1.
    public let count: Int

    /// nil where a number is below 1, or the digests would take more than `PieceHashes.limit`.
    public init?(algorithm: DigestAlgorithm, length: Int64, count: Int) {
        guard length >= 1, count >= 1, count <= PieceHashes.limit / algorithm.byteCount else { return nil }
        self.algorithm = algorithm
        self.length = length
        self.count = count
    }

    /// Bytes that all digests take.
    public var hashBytes: Int { count * algorithm.byteCount }

    /// Whether a file of this size has so many pieces.
    public func fits(size: Int64) -> Bool {
        guard size > 0 else { return false }
        return (size - 1) / length == Int64(count) - 1
    }

    /// Where a piece lies in a file that the layout fits.
    public func range(of piece: Int, size: Int64) -> ByteRange {
        let start = Int64(piece) * length
        return ByteRange(start, min(size, start + min(length, size - start)))
    }

    enum CodingKeys: String, CodingKey {
        case length, count
        case algorithm = "type"
    }

    public init(from decoder: any Decoder) throws {
        let object = try decoder.container(keyedBy: CodingKeys.self)
        let made = PieceLayout(
            algorithm: try object.decode(DigestAlgorithm.self, forKey: .algorithm),
            length: try object.decode(Int64.self, forKey: .length),
            count: try object.decode(Int.self, forKey: .count))
        guard let made else {
            throw DecodingError.dataCorruptedError(
                forKey: .count, in: object, debugDescription: "pieces that cannot be")
        }
        self = made
    }
}

/// The digests of a file's pieces, one after the other.
public struct PieceHashes: Sendable, Hashable {
    /// Bytes of digests that one file may have: 52,428 SHA-1, 32,768 SHA-256.
    public static let limit = 1 << 20

    public let layout: PieceLayout
    public let bytes: [UInt8]

    /// nil unless `bytes` holds whole digests, one at least, of `limit` bytes at most.
    public init?(algorithm: DigestAlgorithm, length: Int64, bytes: [UInt8]) {
        guard bytes.count % algorithm.byteCount == 0,
            let layout = PieceLayout(
                algorithm: algorithm, length: length, count: bytes.count / algorithm.byteCount)
        else { return nil }
        self.layout = layout
        self.bytes = bytes
    }

    /// As JSON Lines lists have them.
    var base64: String { Data(bytes).base64EncodedString() }

    public subscript(piece: Int) -> Checksum {
        let size = layout.algorithm.byteCount
        return Checksum(
            algorithm: layout.algorithm, bytes: Array(bytes[(piece * size)..<((piece + 1) * size)]))
    }
}
