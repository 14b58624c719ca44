// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Glibc
import JobModel
import LinuxKit
import TestKit
import Testing

@testable import Daemon

@Suite struct PlaceTests {
    private func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }

    private func place(_ root: String, identity: String = "aaaa", claims: Bool = true) -> OutputPlace {
        OutputPlace(root: root, identity: identity, claims: claims)
    }

    @Test func `a new ledger marks its output`() throws {
        let directory = try TempDirectory()
        let place = place(directory.path + "/out")
        #expect(try place.prepare(isNew: true, dirMode: 0o755) == nil)
        #expect(try place.owner() == "aaaa")
        #expect(exists(place.parts))
        #expect(try place.prepare(isNew: false, dirMode: 0o755) == nil)
    }

    @Test func `an output without its mark is not written to while the ledger has jobs`() throws {
        let directory = try TempDirectory()
        let place = place(directory.path + "/out")
        let why = try #require(try place.prepare(isNew: false, dirMode: 0o755))
        #expect(why.contains("not mounted"))
        #expect(!exists(directory.path + "/out"))
    }

    @Test func `an output of another ledger is not written to, not even by a new one`() throws {
        let directory = try TempDirectory()
        _ = try place(directory.path, identity: "bbbb").prepare(isNew: true, dirMode: 0o755)
        for isNew in [true, false] {
            let why = try #require(try place(directory.path).prepare(isNew: isNew, dirMode: 0o755))
            #expect(why.contains("bbbb"))
        }
        #expect(!exists(place(directory.path).parts))
    }

    @Test func `dld get keeps parts beside anybody's and owns nothing`() throws {
        let directory = try TempDirectory()
        _ = try place(directory.path, identity: "bbbb").prepare(isNew: true, dirMode: 0o755)
        let get = place(directory.path, claims: false)
        #expect(try get.prepare(isNew: true, dirMode: 0o755) == nil)
        #expect(exists(get.parts))
        #expect(try get.owner() == "bbbb")
    }

    @Test func `the same call of get finds its place again, another does not`() throws {
        let directory = try TempDirectory()
        setenv("XDG_STATE_HOME", directory.path, 1)
        func root(_ folder: String, _ urls: [String], name: String? = nil) throws -> String {
            var request = GetRequest(directory: directory.path + folder, urls: urls)
            request.name = name
            return try GetPlace(request).root
        }
        let first = try root("/a", ["http://h.example/x"])
        #expect(try root("/a", ["http://h.example/x"]) == first)
        #expect(try root("/a/../a", ["h.example/x"]) == first)
        let others = try [
            root("/b", ["http://h.example/x"]), root("/a", ["http://h.example/y"]),
            root("/a", ["http://h.example/x", "http://h.example/y"]),
            root("/a", ["http://h.example/x"], name: "z"),
        ]
        #expect(Set(others + [first]).count == 5)
        let list = try String(contentsOfFile: first + "/spool/get.txt", encoding: .utf8)
        #expect(list == "http://h.example/x\n")
    }
}
