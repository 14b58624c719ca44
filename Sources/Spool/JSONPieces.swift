// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import JobModel

/// `pieces` of a JSON Lines entry: `{"type": "sha-1", "length": 262144, "hashes": "BASE64"}`, the digests one after the
/// other.
struct JSONPieces: Decodable {
    private let type: String
    private let length: Int64
    private let hashes: String

    private static let expected =
        "expected {\"type\": \"sha-256\", \"length\": BYTES, \"hashes\": \"BASE64\"}, digests of 1 MiB at most"

    init(from decoder: any Decoder) throws {
        let object = try decoder.container(keyedBy: JSONKey.self)
        let known = ["type", "length", "hashes"]
        guard Set(object.allKeys.map(\.stringValue)) == Set(known) else {
            throw JSONMistake("pieces", Self.expected)
        }
        type = try object.decode(String.self, forKey: "type")
        length = try object.decode(Int64.self, forKey: "length")
        hashes = try object.decode(String.self, forKey: "hashes")
    }

    func made(size: Int64?) throws -> PieceHashes {
        guard let algorithm = DigestAlgorithm(spelled: type) else {
            throw JSONMistake("pieces", "\"\(excerpt(type))\" is not among the digests that are known")
        }
        guard let bytes = Data(base64Encoded: hashes),
            let pieces = PieceHashes(algorithm: algorithm, length: length, bytes: Array(bytes))
        else { throw JSONMistake("pieces", Self.expected) }
        if let size, !pieces.layout.fits(size: size) {
            let layout = pieces.layout
            throw JSONMistake(
                "pieces",
                "\(layout.count) pieces of \(layout.length) bytes do not make a file of \(size) bytes")
        }
        return pieces
    }
}

extension JSONOptionsReader {
    /// The digests of the file's pieces, if there are any.
    func pieces(size: Int64?) throws -> PieceHashes? {
        let object: JSONPieces?
        do { object = try value("pieces") } catch let mistake as JSONMistake { throw mistake } catch {
            throw JSONMistake("pieces", "not of the type that is expected")
        }
        return try object?.made(size: size)
    }
}
