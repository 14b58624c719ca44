// SPDX-License-Identifier: Apache-2.0

import TestKit
import Testing

/// One file of a Metalink, and what is said of it.
private struct Described {
    var name: String
    var body: [UInt8]
    var urls: [String]
    var size: Int?
    var hash: String?
    var pieceLength: Int?

    /// Digests by other programs than ours.
    func element(in folder: TempDirectory) throws -> String {
        let path = try folder.file("described", body)
        var text = "<file name=\"\(name)\">\n<size>\(size ?? body.count)</size>\n"
        if let hash {
            let run = try ProgramRun.run("/usr/bin/\(hash.filter { $0 != "-" })sum", [path])
            text += "<hash type=\"\(hash)\">\(run.output.prefix { $0 != " " })</hash>\n"
        }
        if let pieceLength {
            let run = try ProgramRun.run(
                "/usr/bin/split", ["-b", "\(pieceLength)", "--filter=sha1sum", path])
            text += "<pieces type=\"sha-1\" length=\"\(pieceLength)\">\n"
            for line in run.output.split(separator: "\n") { text += "<hash>\(line.prefix(40))</hash>\n" }
            text += "</pieces>\n"
        }
        for (place, url) in urls.enumerated() { text += "<url priority=\"\(place + 1)\">\(url)</url>\n" }
        return text + "</file>\n"
    }

    static func metalink(_ files: [Described]) throws -> String {
        let folder = try TempDirectory()
        let head = "<?xml version=\"1.0\"?>\n<metalink xmlns=\"urn:ietf:params:xml:ns:metalink\">\n"
        return try files.reduce(head) { $0 + (try $1.element(in: folder)) } + "</metalink>\n"
    }
}

/// Metalinks from the spool to the output, over real servers.
@Suite(.serialized) struct MetalinkTests {
    private static let piece = 262_144

    /// Two servers with the same file, of which the first has these pieces wrong, and the second those.
    private func mirrors(
        _ name: String, _ body: [UInt8], wrong first: [Int], second: [Int] = []
    ) throws -> (Nginx, Nginx) {
        let servers = (try Nginx(), try Nginx())
        for (server, pieces) in [(servers.0, first), (servers.1, second)] {
            var bytes = body
            for piece in pieces { bytes[piece * Self.piece + 77] ^= 0x55 }
            try server.add(name, bytes)
        }
        return servers
    }

    @Test func `twenty files with two mirrors, sizes and digests come down, each from its first`() throws {
        let (one, two) = (try Nginx(), try Nginx())
        var files: [Described] = []
        for index in 0..<20 {
            let body = sample(index, 1000 + 70_000 * (index % 4))
            let name = "set/f\(index).bin"
            try one.add(name, body)
            try two.add(name, body)
            let urls = [one.url(name), two.url(name)]
            files.append(
                Described(
                    name: "out/f\(index).bin", body: body, urls: index % 4 == 1 ? urls.reversed() : urls,
                    hash: ["sha-256", "md5", nil][index % 3], pieceLength: index % 2 == 0 ? 65536 : nil))
        }
        // Room for all of them: none has to go elsewhere.
        let roomy: ConfigValue = ["hosts": ["default": ["connections": 32]]]
        let daemon = try RunningDaemon.start(quickRetries.merged(with: roomy))
        let ended = try daemon.finish("set.meta4", try Described.metalink(files))
        #expect(ended.folder == "done" && ended.results.count == 20, Comment(rawValue: daemon.account))
        for (file, result) in zip(files, ended.results) {
            #expect(result.path == file.name && result.bytes == file.body.count && result.attempts == 1)
            try daemon.expectFile(file.name, file.body)
        }
        #expect(try [one.log().count, two.log().count] == [15, 5])
    }

    @Test(arguments: [
        ([5], true), ([5], false), ([0], false), ([0], true), ([15], false), ([0, 1, 7, 15], true),
    ]) func `a wrong piece of the first mirror is mended by the second, which is asked for nothing else`(
        _ wrong: [Int], _ hasWhole: Bool
    ) throws {
        // The last piece is short.
        let body = bulk(wrong.count, 16 * Self.piece - 1000).prefix(16 * Self.piece - 1000)
        let (one, two) = try mirrors("big", Array(body), wrong: wrong)
        let daemon = try RunningDaemon.start()
        let list = try Described.metalink([
            Described(
                name: "big", body: Array(body), urls: [one.url("big"), two.url("big")],
                hash: hasWhole ? "sha-256" : nil, pieceLength: Self.piece)
        ])
        let ended = try daemon.finish("big.meta4", list)
        #expect(ended.folder == "done", Comment(rawValue: daemon.account))
        try daemon.expectFile("big", Array(body))
        #expect(try one.log().map(\.status) == [200])
        let asked = try two.log()
        #expect(asked.allSatisfy { $0.status == 206 && !$0.range.isEmpty }, "\(asked)")
        let bytes = wrong.reduce(0) { $0 + ($1 == 15 ? Self.piece - 1000 : Self.piece) }
        #expect(asked.reduce(0) { $0 + $1.bytes } == bytes, "\(asked)")
        #expect(ended.results.first?.attempts == 2)
        #expect(ended.results.first?.fetchedBytes == body.count + bytes)
        #expect(daemon.partFiles.isEmpty)
        let rows = try ProgramRun.run(
            "/usr/bin/sqlite3", ["-readonly", daemon.ledger, "SELECT count(*) FROM piece"])
        #expect(rows.output == "0\n")
    }

    @Test func `a piece that is wrong everywhere fails with both values, and its retry list brings it home`()
        throws
    {
        let body = Array(bulk(9, 8 * Self.piece).prefix(8 * Self.piece))
        let (one, two) = try mirrors("big", body, wrong: [3], second: [3])
        let daemon = try RunningDaemon.start()
        let list = try Described.metalink([
            Described(
                name: "big", body: body, urls: [one.url("big"), two.url("big")], pieceLength: Self.piece)
        ])
        let ended = try daemon.finish("big.meta4", list)
        #expect(ended.folder == "failed")
        let error = ended.results.first?.error
        #expect(error?.code == "digest_mismatch")
        let message = error?.message ?? ""
        #expect(message.contains("piece 4 of 8 (bytes 786432 to 1048575): expected sha1:"), "\(message)")
        #expect(message.contains(", received sha1:"))
        // Whole once, then that piece and no more.
        #expect(try one.log().count + two.log().count == 3)
        #expect(daemon.published.isEmpty && daemon.partFiles.isEmpty)
        // Mended on the second server: the retry list has size and digests of pieces.
        try two.add("big", body)
        let retry = "\(daemon.spool)/failed/big.failed.jsonl"
        #expect(
            try FileTree.text(retry).contains(
                "\"pieces\":{\"type\":\"sha-1\",\"length\":262144,\"hashes\":\""))
        try FileTree.rename(retry, "\(daemon.spool)/big.failed.jsonl")
        #expect(try daemon.waitFor("big.failed.jsonl").folder == "done", Comment(rawValue: daemon.account))
        try daemon.expectFile("big", body)
    }

    @Test func `a server that knows no ranges mends with the whole file`() throws {
        let body = Array(bulk(2, 4 * Self.piece).prefix(4 * Self.piece))
        var bad = body
        bad[Self.piece] ^= 1
        let server = try ScriptedServer()
        server.route("/one") { [bad] _ in ScriptedReply(body: bad) }
        server.route("/two") { _ in ScriptedReply(body: body) }
        let daemon = try RunningDaemon.start()
        let list = try Described.metalink([
            Described(
                name: "big", body: body, urls: [server.url("one"), server.url("two")], pieceLength: Self.piece
            )
        ])
        #expect(try daemon.finish("big.meta4", list).folder == "done", Comment(rawValue: daemon.account))
        try daemon.expectFile("big", body)
    }

    @Test func `another length than the Metalink's is not this file`() throws {
        let nginx = try Nginx()
        let body = sample(1, 5000)
        try nginx.add("a", body)
        let daemon = try RunningDaemon.start(quickRetries)
        let list = try Described.metalink([
            Described(name: "a", body: body, urls: [nginx.url("a")], size: 5001)
        ])
        let ended = try daemon.finish("a.meta4", list)
        #expect(ended.results.first?.error?.code == "bad_length")
        #expect(daemon.published.isEmpty)
    }

    @Test func `what is no Metalink is rejected with its place, by the spool, dlctl and dld get`() throws {
        let daemon = try RunningDaemon.start()
        let bad =
            "<metalink xmlns=\"urn:ietf:params:xml:ns:metalink\">\n<file name=\"a\">\n<url>sum:1</file>\n"
        #expect(try daemon.finish("bad.meta4", bad).folder == "rejected")
        let reason = try FileTree.text("\(daemon.spool)/rejected/bad.meta4.reason.txt")
        #expect(reason.contains("\nbad.meta4:3:") && reason.contains("mismatch"), "\(reason)")
        #expect(try FileTree.text("\(daemon.spool)/rejected/bad.meta4") == bad)
        let path = try daemon.directory.file("worse.meta4", bad)
        let added = try daemon.dlctl("add", path)
        #expect(added.status == 1 && added.transcript.contains("worse.meta4:3:"), "\(added.transcript)")
        let got = try ProgramRun.run(
            "dld", ["get", "-d", daemon.directory.sub("got"), "-i", path],
            environment: ["XDG_STATE_HOME": daemon.directory.sub("xdg")])
        #expect(got.status == 1 && got.transcript.contains("worse.meta4:3:"), "\(got.transcript)")
    }

    @Test func `dlctl add and dld get take a Metalink, packed or not`() throws {
        let nginx = try Nginx()
        let body = sample(1, 300_000)
        try nginx.add("a", body)
        let daemon = try RunningDaemon.start()
        let file = Described(
            name: "x/a.bin", body: body, urls: [nginx.url("a")], hash: "sha-512", pieceLength: 65536)
        let path = try daemon.directory.file("my.meta4", try Described.metalink([file]))
        let added = try daemon.dlctl("add", "--wait", path)
        #expect(added.status == 0, "\(added.transcript)")
        try daemon.expectFile("x/a.bin", body)
        #expect(try ProgramRun.run("/usr/bin/gzip", ["-k", path]).status == 0)
        try daemon.directory.directory("got")
        let got = try ProgramRun.run(
            "dld", ["get", "-d", daemon.directory.sub("got"), "-i", path + ".gz"],
            environment: ["XDG_STATE_HOME": daemon.directory.sub("xdg")])
        #expect(got.status == 0, "\(got.transcript)")
        #expect(try FileTree.read(daemon.directory.sub("got/x/a.bin")) == body)
    }

    @Test func `a daemon killed while it takes in a large Metalink loses no file and takes none twice`()
        throws
    {
        let count = 60_000
        let nobody = try FreePort.find()
        var text = "<metalink xmlns=\"urn:ietf:params:xml:ns:metalink\">\n"
        for index in 0..<count {
            text += "<file name=\"f\(index)\"><url>http://127.0.0.1:\(nobody)/\(index)</url></file>\n"
        }
        let daemon = try RunningDaemon.start()
        func ask(_ sql: String) throws -> Int {
            let run = try ProgramRun.run("/usr/bin/sqlite3", ["-readonly", daemon.ledger, sql])
            return Int(run.output.split(separator: "\n").first ?? "") ?? -1
        }
        try daemon.drop("large.meta4", text + "</metalink>\n")
        var kills = 0
        for goal in [1, 20_000, 40_000] {
            try eventually(within: .seconds(60), "more than \(goal) are in", context: { daemon.account }) {
                try ask("SELECT coalesce(max(entries), 0) FROM list") >= goal
            }
            if try ask("SELECT entries FROM list") < count { kills += 1 }
            try daemon.restart(killing: true)
        }
        #expect(kills > 0)
        try eventually(within: .seconds(60), "all are in", context: { daemon.account }) {
            try ask("SELECT count(*) FROM list WHERE state = 1 AND entries = \(count)") == 1
        }
        #expect(try ask("SELECT count(*) FROM job") == count)
        #expect(try ask("SELECT count(DISTINCT path) FROM job") == count)
    }
}
