// SPDX-License-Identifier: Apache-2.0

import JobModel
import LinuxKit
import SystemPackage
import TestKit
import Testing

@testable import Spool

/// Reads a whole file, slice by slice.
func readAll(
    _ path: String, format: ListFormat = .text, isGzip: Bool = false,
    onSlice: (ListReader.Slice) -> Void = { _ in }
) throws -> [ListEntry] {
    let reader = ListReader(
        try Descriptor.open(FilePath(path), .readOnly), object: path, format: format, isGzip: isGzip,
        rules: ListRules())
    var entries: [ListEntry] = []
    while true {
        let slice = try reader.next()
        onSlice(slice)
        entries += slice.entries
        if slice.isAtEnd { return entries }
    }
}

func gzip(_ path: String) throws {
    let run = try ProgramRun.run(try ProgramRun.find("gzip"), ["-n", path])
    try #require(run.status == 0, "\(run.transcript)")
}

@Suite struct ListReaderTests {
    let folder: TempDirectory
    init() throws { folder = try TempDirectory() }

    // L27
    @Test func `CRLF, a byte order mark and a missing last newline are accepted`() throws {
        let path = try folder.file("a", [0xEF, 0xBB, 0xBF] + Array("http://a/1\r\nhttp://a/2".utf8))
        #expect(try readAll(path).map(\.body) == [.urls(["http://a/1"]), .urls(["http://a/2"])])
    }

    // L27
    @Test func `UTF-16 and an early NUL refuse the list, a late NUL costs its line`() throws {
        for head: [UInt8] in [
            [0xFF, 0xFE, 0x68, 0], [0xFE, 0xFF, 0, 0x68], Array("http://a/1\nx".utf8) + [0],
        ] {
            let path = try folder.file("a", head)
            #expect(throws: ListRefusal.self) { try readAll(path) }
        }
        let filler = String(repeating: "#" + String(repeating: "x", count: 98) + "\n", count: 700)
        let path = try folder.file(
            "late", Array((filler + "http://a/1\n").utf8) + [0x78, 0, 0x0A] + Array("http://a/2\n".utf8))
        let entries = try readAll(path)
        #expect(entries.map(\.line) == [701, 702, 703])
        #expect(entries.map { code($0) } == [nil, .badLine, nil])
    }

    // L27
    @Test func `bytes that are not UTF-8 cost their line`() throws {
        let path = try folder.file(
            "a",
            Array("http://a/1\nhttp://a/".utf8) + [0xE9, 0x0A] + Array("http://a/3\n out=".utf8) + [0xE9])
        #expect(try readAll(path).map { code($0) } == [nil, .badLine, .badOption])
    }

    // L26
    @Test func `a line over 64 KiB is a bad line and is never held`() throws {
        var scanner = LineScanner()
        let chunk = [UInt8](repeating: UInt8(ascii: "x"), count: 128 << 10)
        for _ in 0..<8192 {
            var start = 0
            #expect(scanner.next(in: chunk, from: &start) == nil)
        }
        var start = 0
        let line = scanner.next(in: [UInt8(ascii: "\n")], from: &start)
        #expect(line == ListLine(number: 1, offset: 0, content: .tooLong(first: UInt8(ascii: "x"))))
        #expect(scanner.offset == 1 << 30 + 1)

        let fits = "http://a/" + String(repeating: "y", count: ListLine.limit - 9)
        let path = try folder.file("b", "\(fits)\r\n\(fits)z\nhttp://a/3\n")
        #expect(try readAll(path).map { code($0) } == [nil, .badLine, nil])
    }

    // L26
    @Test func `a million lines come in bounded slices`() throws {
        let path = folder.sub("million")
        let block = String(repeating: "http://a/1\n", count: 10_000)
        try FileTree.write(String(repeating: block, count: 100), to: path)
        let reader = ListReader(
            try Descriptor.open(FilePath(path), .readOnly), object: path, format: .text, isGzip: false,
            rules: ListRules())
        var count = 0
        var largest = 0
        while true {
            let slice = try reader.next()
            count += slice.entries.count
            largest = max(largest, slice.entries.count)
            if slice.isAtEnd { break }
        }
        #expect(count == 1_000_000)
        #expect(largest <= 1000)
    }

    @Test func `reading goes on from every place a slice ended at`() throws {
        var text = " user-agent=me\n\n bad default\n"
        for index in 0..<4000 {
            text += "http://a/\(index)\n out=o\(index)\n"
            if index % 7 == 0 { text += " bad\n# comment\n" }
            if index % 11 == 0 { text += "\n\nhttp://b/\(index)\thttp://c\n" }
        }
        let plain = try folder.file("a.txt", text)
        let zipped = try folder.file("b.txt", text)
        try gzip(zipped)
        for (path, isGzip) in [(plain, false), (zipped + ".gz", true)] {
            var places: [(ListPosition, Int)] = []
            var count = 0
            let all = try readAll(path, isGzip: isGzip) { slice in
                count += slice.entries.count
                places.append(
                    (ListPosition(offset: slice.mark.offset, line: slice.mark.line, entries: count), count))
            }
            #expect(places.count > 4)
            for (position, taken) in places {
                let file = OpenFile(try Descriptor.open(FilePath(path), .readOnly), path: path)
                let reader = ListReader(
                    ListBytes(file, isGzip: isGzip), name: path, format: .text, rules: ListRules(), from: position)
                var rest: [ListEntry] = []
                while true {
                    let slice = try reader.next()
                    rest += slice.entries
                    if slice.isAtEnd { break }
                }
                #expect(reader.defaults?.userAgent == "me")
                #expect(rest == Array(all[taken...]))
            }
        }
    }

    @Test func `a gzip file is unpacked, members one after the other`() throws {
        let first = try folder.file("a", "http://a/1\n")
        let second = try folder.file("b", "http://a/2\n")
        try gzip(first)
        try gzip(second)
        let both = try FileTree.read(first + ".gz") + FileTree.read(second + ".gz") + [0, 0, 0]
        let path = try folder.file("c.gz", both)
        #expect(try readAll(path, isGzip: true).map(\.line) == [1, 2])
    }

    @Test func `a gzip file that is cut short or damaged says so`() throws {
        let path = try folder.file("a", (0..<5000).map { "http://a/\($0 &* 7919)\n" }.joined())
        try gzip(path)
        let whole = try FileTree.read(path + ".gz")
        var flipped = whole
        flipped[whole.count - 6] ^= 1
        for bytes in [
            Array(whole.dropLast(4)), Array(whole.prefix(whole.count / 2)), flipped, [], whole + [1, 2],
        ] {
            let broken = try folder.file("broken.gz", bytes)
            let list = ListBytes(
                OpenFile(try Descriptor.open(FilePath(broken), .readOnly), path: broken), isGzip: true)
            #expect(throws: ListReadError.self) { while try list.next() != nil {} }
        }
    }

    @Test func `a gzip bomb comes in bounded chunks`() throws {
        let path = try folder.file("bomb", [UInt8](repeating: UInt8(ascii: "x"), count: 32 << 20))
        try gzip(path)
        let list = ListBytes(
            OpenFile(try Descriptor.open(FilePath(path + ".gz"), .readOnly), path: path), isGzip: true)
        var total = 0
        while let chunk = try list.next() {
            #expect(chunk.count <= ListBytes.chunk)
            total += chunk.count
        }
        #expect(total == 32 << 20)
    }
}
