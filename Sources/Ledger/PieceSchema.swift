// SPDX-License-Identifier: Apache-2.0

/// The part of schema version 3 that digests of pieces brought.
enum PieceSchema {
    static let statements = [
        // Of jobs whose list gave them, until they are done. length: bytes of a piece. hashes: one after the other.
        """
        CREATE TABLE piece (seq INTEGER PRIMARY KEY, algorithm TEXT NOT NULL, length INTEGER NOT NULL, \
        hashes BLOB NOT NULL)
        """
    ]
}
