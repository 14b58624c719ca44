// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

/// Digests whose first byte tells their piece.
private func hashes(_ count: Int, length: Int64, _ algorithm: DigestAlgorithm = .sha1) throws -> PieceHashes {
    let bytes = (0..<count).flatMap { piece in
        [UInt8](repeating: UInt8(truncatingIfNeeded: piece), count: algorithm.byteCount)
    }
    return try #require(PieceHashes(algorithm: algorithm, length: length, bytes: bytes))
}

/// A check whose pieces have all come back, these wrong.
private func checked(_ count: Int, length: Int64, size: Int64, wrong: Set<Int>) throws -> PieceCheck {
    let right = try hashes(count, length: length)
    var check = try #require(PieceCheck(right, size: size))
    while !check.isOver {
        var runs: [PieceCheck.Run] = []
        while let run = check.nextRun() { runs.append(run) }
        // The last one first: answers come in any order.
        for run in runs.reversed() {
            let digests = (run.first..<(run.first + run.count)).flatMap { piece in
                wrong.contains(piece) ? [UInt8](repeating: 0xEE, count: 20) : right[piece].bytes
            }
            let isBelieved = check.answered(run.first, digests)
            #expect(isBelieved)
        }
    }
    return check
}

@Suite struct PieceCheckTests {
    @Test func `a layout fits the sizes that have so many pieces`() throws {
        let layout = try #require(PieceLayout(algorithm: .sha1, length: 10, count: 3))
        #expect(
            [0, 20, 21, 30, 31, .max].map { layout.fits(size: $0) } == [
                false, false, true, true, false, false,
            ])
        #expect(
            layout.range(of: 0, size: 25) == ByteRange(0, 10)
                && layout.range(of: 2, size: 25) == ByteRange(20, 25))
        let huge = try #require(PieceLayout(algorithm: .md5, length: .max, count: 1))
        #expect(huge.fits(size: .max) && huge.range(of: 0, size: .max) == ByteRange(0, .max))
        #expect(PieceLayout(algorithm: .sha256, length: 1, count: 32_769) == nil)
        #expect(PieceLayout(algorithm: .sha256, length: 0, count: 1) == nil)
        #expect(PieceHashes(algorithm: .sha1, length: 1, bytes: [1, 2, 3]) == nil)
        #expect(PieceHashes(algorithm: .sha1, length: 1, bytes: []) == nil)
    }

    @Test(arguments: [
        // Pieces, their length, the file; how many runs, pieces of the first, bytes of the last.
        (3, 10, 25, 1, 3, 25), (1000, 256 << 10, 1000 * (256 << 10) - 7, 16, 64, 40 * (256 << 10) - 7),
        (500, 1, 500, 4, 128, 116), (3, 1 << 30, 3 << 30, 3, 1, 1 << 30),
    ]) func `runs go over every byte once, 16 MiB or 128 pieces at a time`(
        _ count: Int, _ length: Int, _ size: Int, _ runs: Int, _ first: Int, _ last: Int
    ) throws {
        var check = try #require(PieceCheck(try hashes(count, length: Int64(length)), size: Int64(size)))
        var place: Int64 = 0
        var seen: [PieceCheck.Run] = []
        while let run = check.nextRun() {
            #expect(run.span.offset == place && run.span.pieceLength == Int64(length))
            place += run.span.length ?? 0
            #expect(run.span.pieces.count == run.count)
            seen.append(run)
        }
        #expect(place == Int64(size) && seen.count == runs && seen.first?.count == first)
        #expect(seen.last?.span.length == Int64(last))
        #expect(!check.isOver)
    }

    @Test func `only so many runs are out at a time`() throws {
        var check = try #require(PieceCheck(try hashes(10_000, length: 16 << 20), size: 10_000 * (16 << 20)))
        var runs: [PieceCheck.Run] = []
        while let run = check.nextRun() { runs.append(run) }
        #expect(runs.count == 32)
        let isBelieved = check.answered(runs[5].first, check.hashes[runs[5].first].bytes)
        let next = (check.nextRun()?.first, check.nextRun())
        #expect(isBelieved && next.0 == 32 && next.1 == nil)
    }

    @Test func `an answer of another length, or to nothing, is not believed`() throws {
        var check = try #require(PieceCheck(try hashes(3, length: 10), size: 25))
        let toNothing = check.answered(0, [])
        let run = check.nextRun()
        let short = check.answered(try #require(run).first, [UInt8](repeating: 0, count: 59))
        #expect(!toNothing && !short)
    }

    @Test func `what is right stays, in joined ranges`() throws {
        func sound(_ wrong: Set<Int>) throws -> [[Int64]] {
            try checked(10, length: 10, size: 95, wrong: wrong).sound.map { [$0.start, $0.end] }
        }
        #expect(try sound([]) == [[0, 95]])
        #expect(try sound([0]) == [[10, 95]])
        #expect(try sound([9]) == [[0, 90]])
        #expect(try sound([3, 4, 7]) == [[0, 30], [50, 70], [80, 95]])
        #expect(try sound(Set(0..<10)).isEmpty)
    }

    @Test func `wrong pieces are mended by each mirror in turn, and then it is over`() throws {
        let some = try checked(10, length: 10, size: 100, wrong: [4])
        let sound = [ByteRange(0, 40), ByteRange(50, 100)]
        // Rounds before, mirrors.
        for (earlier, mirrors, mends) in [
            (0, 1, true), (1, 1, true), (2, 1, false), (2, 3, true), (3, 3, false), (7, 100, true),
            (8, 100, false),
        ] {
            let verdict = PiecePolicy.verdict(some, earlier: earlier, mirrors: mirrors)
            #expect(verdict == (mends ? .mend(sound) : .fail), "\(earlier) of \(mirrors)")
        }
        let all = try checked(2, length: 10, size: 20, wrong: [0, 1])
        #expect(PiecePolicy.verdict(all, earlier: 0, mirrors: 3) == .fetchAgain)
        #expect(PiecePolicy.verdict(all, earlier: 1, mirrors: 3) == .fail)
    }

    @Test func `the error names the first wrong piece, its bytes and both values`() throws {
        let check = try checked(10, length: 10, size: 95, wrong: [9, 3])
        let error = PiecePolicy.error(check, keptAs: nil)
        let wanted = String(repeating: "03", count: 20)
        let found = String(repeating: "ee", count: 20)
        #expect(error.code == .digestMismatch)
        #expect(
            error.message
                == "piece 4 of 10 (bytes 30 to 39): expected sha1:\(wanted), received sha1:\(found); 1 more are wrong"
        )
    }

    @Test func `pieces are looked at where the whole is wrong, unknown, or says less`() throws {
        let layout = try #require(PieceLayout(algorithm: .sha1, length: 10, count: 3))
        let md5 = Checksum(algorithm: .md5, bytes: [UInt8](repeating: 1, count: 16))
        let sha256 = Checksum(algorithm: .sha256, bytes: [UInt8](repeating: 1, count: 32))
        let other = Checksum(algorithm: .sha256, bytes: [UInt8](repeating: 2, count: 32))
        #expect(PiecePolicy.looksAtPieces(layout, wanted: nil, found: sha256))
        #expect(PiecePolicy.looksAtPieces(layout, wanted: md5, found: md5))
        #expect(PiecePolicy.looksAtPieces(layout, wanted: sha256, found: other))
        #expect(!PiecePolicy.looksAtPieces(layout, wanted: sha256, found: sha256))
    }

    @Test func `a resume point of what is right has no validator and knows its holes`() throws {
        let front = ResumePoint(
            sound: [ByteRange(0, 40), ByteRange(50, 95)], of: 95, from: "http://a/1", device: 1, inode: 2,
            part: "p")
        #expect(front.bytes == 40 && front.ranges == [ByteRange(50, 95)] && front.isProven == true)
        #expect(front.known == 85 && !front.isWhole && front.extent == 95)
        let hole = ResumePoint(
            sound: [ByteRange(10, 95)], of: 95, from: "http://a/1", device: 1, inode: 2, part: "p")
        #expect(hole.bytes == 0 && hole.ranges == [ByteRange(10, 95)] && hole.known == 85)
    }
}
