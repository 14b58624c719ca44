// SPDX-License-Identifier: Apache-2.0

internal import FoundationEssentials
internal import GRDB
public import JobModel

/// Digests of pieces lie beside their jobs: rows of jobs are read by the thousand, and these may have a mebibyte each.
enum PieceRows {
    /// Bytes of them that one page of results brings at most, beyond its first.
    static let pageLimit = 4 << 20

    static func add(_ pieces: PieceHashes, _ seq: JobSeq, _ db: Database) throws {
        try db.cachedStatement(sql: "INSERT INTO piece (seq, algorithm, length, hashes) VALUES (?, ?, ?, ?)")
            .execute(arguments: [
                seq.rawValue, pieces.layout.algorithm.rawValue, pieces.layout.length, Data(pieces.bytes),
            ])
    }

    static func read(_ seq: JobSeq, _ db: Database) throws -> PieceHashes? {
        let statement = try db.cachedStatement(
            sql: "SELECT algorithm, length, hashes FROM piece WHERE seq = ?")
        guard let row = try Row.fetchOne(statement, arguments: [seq.rawValue]),
            let algorithm = row.text(0).flatMap({ DigestAlgorithm(rawValue: $0) }),
            let bytes = row[2] as Data?
        else { return nil }
        return PieceHashes(algorithm: algorithm, length: row.number(1), bytes: Array(bytes))
    }

    /// Puts them to the records that need them for a retry.
    /// - Returns: nil where none does; less than all where they would be too many at a time.
    static func fill(_ records: [ResultRecord], _ db: Database) throws -> [ResultRecord]? {
        guard records.contains(where: needs) else { return nil }
        var filled = records
        var bytes = 0
        for index in filled.indices where needs(filled[index]) {
            filled[index].pieces = try read(filled[index].seq, db)
            bytes += filled[index].pieces?.bytes.count ?? 0
            if bytes > pageLimit, index + 1 < filled.count { return Array(filled[...index]) }
        }
        return filled
    }

    private static func needs(_ record: ResultRecord) -> Bool {
        record.options.pieces != nil && record.state.isTerminal && record.state != .done
    }
}

extension LedgerStore {
    /// The digests of a job's pieces; nil where it has none.
    public func pieces(of seq: JobSeq) throws(LedgerError) -> PieceHashes? {
        try read { db in try PieceRows.read(seq, db) }
    }

    /// Its file is where it belongs: nobody asks for them again. Inside a group.
    public func dropPieces(of seq: JobSeq) throws(LedgerError) {
        try write { db in
            try db.cachedStatement(sql: "DELETE FROM piece WHERE seq = ?").execute(arguments: [seq.rawValue])
        }
    }
}
