// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import Foundation
import Glibc
import JobModel
import TestKit
import Testing

/// `dlctl verify`: published files are read again, and what is bad is fetched again.
@Suite(.serialized) struct VerifyTests {
    private func audit(_ daemon: RunningDaemon, _ id: String) throws -> AuditDocument {
        let run = try daemon.dlctl("audit", id, "--json")
        #expect(run.status == 0, "\(run.transcript)")
        return try ControlAPI.decode(AuditDocument.self, from: Array(run.output.utf8))
    }
    private func findings(_ daemon: RunningDaemon, _ id: String) throws -> [AuditFindingDocument] {
        let run = try daemon.dlctl("audit", id, "results", "--json")
        #expect(run.status == 0, "\(run.transcript)")
        return try run.output.split(separator: "\n").map {
            try ControlAPI.decode(AuditFindingDocument.self, from: Array($0.utf8))
        }
    }
    private func ended(_ daemon: RunningDaemon, _ id: String) throws -> AuditDocument {
        try eventuallySome(within: .seconds(60), "audit \(id) has ended", context: { daemon.account }) {
            let document = try audit(daemon, id)
            return document.state.isTerminal ? document : nil
        }
    }
    private func id(_ run: ProgramRun) -> String {
        return run.output.split(separator: "\n").first.map(String.init) ?? ""
    }

    /// As if nothing had happened: same length, same times.
    private func alterInSilence(_ path: String) throws {
        let before = try #require(FileTree.status(path))
        var bytes = try FileTree.read(path)
        bytes[bytes.count / 2] ^= 1
        // In place, not by another file.
        let file = open(path, O_WRONLY)
        #expect(file >= 0)
        #expect(pwrite(file, bytes, bytes.count, 0) == bytes.count)
        close(file)
        var times = [before.st_atim, before.st_mtim]
        #expect(utimensat(AT_FDCWD, path, &times, 0) == 0)
    }

    @Test func `20 of 1,000 files that were altered by hand are found, exactly those, and mended`() throws {
        let nginx = try Nginx()
        let names = (0..<1000).map { "dir\($0 % 7)/file-\($0)" }
        for (index, name) in names.enumerated() {
            try FileTree.write(sample(index, 1000 + index), to: "\(nginx.root)/\(name)")
        }
        let daemon = try RunningDaemon.start([
            "digest": ["always": "sha-256"], "verify": ["rate": "unlimited"],
        ])
        let list = names.map { "http://127.0.0.1:\(nginx.port)/\($0)\n out=\($0)\n" }.joined()
        #expect(try daemon.finish("thousand.txt", list).folder == "done")
        let requests = try nginx.log().count

        var altered: [String: String] = [:]
        for (index, name) in names.enumerated() where index % 50 == 3 {
            let path = "\(daemon.output)/\(name)"
            switch index / 50 % 5 {
            case 0:
                try alterInSilence(path)
                altered[name] = "changed"
            case 1:
                FileTree.remove(path)
                altered[name] = "missing"
            case 2:
                try FileTree.write("cut", to: path)
                altered[name] = "changed"
            case 3:
                FileTree.remove(path)
                #expect(symlink("/etc/passwd", path) == 0)
                altered[name] = "changed"
            default:
                try FileTree.write(try FileTree.read(path) + [0], to: path)
                altered[name] = "changed"
            }
        }
        #expect(altered.count == 20)

        let run = try daemon.dlctl("verify", "--all", "--repair", "--wait", within: .seconds(120))
        #expect(run.status == 0, "\(run.transcript)\n\(daemon.account)")
        let number = id(run)
        let document = try audit(daemon, number)
        #expect(
            document.files == 1000 && document.fine == 980 && document.bad == 20 && document.repairs == 20)
        let found = try findings(daemon, number)
        #expect(Dictionary(found.map { ($0.path, $0.verdict) }) { $1 } == altered && found.count == 20)
        for (index, name) in names.enumerated() { try daemon.expectFile(name, sample(index, 1000 + index)) }
        #expect(try nginx.log().count == requests + 20)

        let after = try daemon.dlctl("verify", "thousand.txt", "--wait", within: .seconds(60))
        #expect(after.status == 0 && after.output.contains("1,000 fine"), "\(after.transcript)")
        let metrics = try daemon.dlctl("metrics").output
        #expect(metrics.contains(#"dld_verify_files_total{verdict="fine"} 1980"#), "\(metrics)")
        #expect(metrics.contains("dld_verify_repairs_total 20"))
    }

    @Test func `an audit goes on behind what was stored when the daemon is killed`() throws {
        let server = try ScriptedServer()
        let names = (0..<300).map { "f\($0)" }
        for (index, name) in names.enumerated() {
            server.route("/\(name)", ScriptedFile(sample(index, 2000)))
        }
        let daemon = try RunningDaemon.start([
            "digest": ["always": "crc32c"], "verify": ["rate": "80KiB/s"],
        ])
        let list = names.map { server.url($0) }.joined(separator: "\n") + "\n"
        #expect(try daemon.finish("many.txt", list).folder == "done")
        FileTree.remove("\(daemon.output)/f1")
        let number = id(try daemon.dlctl("verify", "--all", "--list-all"))
        try eventually(within: .seconds(60), "a page is stored", context: { daemon.account }) {
            try audit(daemon, number).files > 0
        }
        try daemon.kill()
        try daemon.configure(["verify": ["rate": "unlimited"]])
        let query = "SELECT count(*) FROM file WHERE verified_at NOT NULL"
        let stored = try sqlite(daemon, query)
        let before = try #require(Int(stored))
        #expect(before > 0 && before < 300)
        // Until when the killed one got.
        let mark = try sqlite(daemon, "SELECT max(verified_at) FROM file")
        try daemon.start()
        let document = try ended(daemon, number)
        #expect(document.files == 300 && document.fine == 299 && document.missing == 1)
        #expect(document.filesTotal == 300)
        let found = try findings(daemon, number)
        #expect(found.count == 300 && Set(found.map(\.path)) == Set(names))
        // Those before the kill were not looked at again.
        #expect(
            try sqlite(daemon, "SELECT count(*) FROM file WHERE verified_at <= \(mark)") == "\(before)")
    }

    private func sqlite(_ daemon: RunningDaemon, _ sql: String) throws -> String {
        let run = try ProgramRun.run(try ProgramRun.find("sqlite3"), ["-readonly", daemon.ledger, sql])
        #expect(run.status == 0, "\(run.transcript)")
        return run.output.split(separator: "\n").first.map(String.init) ?? ""
    }

    @Test func `an output that went away is no output that lost its files`() throws {
        let server = try ScriptedServer()
        for name in ["a", "b"] { server.route("/\(name)", ScriptedFile(sample(1, 100))) }
        let daemon = try RunningDaemon.start()
        #expect(try daemon.finish("two.txt", "\(server.url("a"))\n\(server.url("b"))\n").folder == "done")
        try FileTree.rename(daemon.output, daemon.output + ".away")
        try FileTree.makeDirectories(daemon.output)
        let number = id(try daemon.dlctl("verify", "--all", "--repair"))
        let waiting = try eventuallySome(within: .seconds(30), "it waits", context: { daemon.account }) {
            let document = try audit(daemon, number)
            return document.reason == nil ? nil : document
        }
        #expect(waiting.files == 0 && waiting.state != .done)
        #expect(waiting.reason?.contains("is not this ledger's output") == true)
        #expect(try daemon.dlctl("status").output.contains("; waits: "))
        #expect(rmdir(daemon.output) == 0)
        try FileTree.rename(daemon.output + ".away", daemon.output)
        let document = try ended(daemon, number)
        #expect(document.plausible == 2 && document.bad == 0 && document.repairList == nil)
    }

    @Test func `files without a digest are counted apart, and get one on request`() throws {
        let server = try ScriptedServer()
        for name in ["a", "b"] { server.route("/\(name)", ScriptedFile(sample(1, 100))) }
        let daemon = try RunningDaemon.start()
        #expect(try daemon.finish("two.txt", "\(server.url("a"))\n\(server.url("b"))\n").folder == "done")
        let plain = try daemon.dlctl("verify", "two.txt", "--wait")
        #expect(plain.status == 0 && plain.output.contains("2 plausible"), "\(plain.transcript)")
        // Nobody can tell by length and time.
        try alterInSilence("\(daemon.output)/a")
        #expect(try daemon.dlctl("verify", "--all", "--wait").output.contains("2 plausible"))
        let recorded = try daemon.dlctl("verify", "./b", "--record-digests", "--wait")
        #expect(recorded.output.contains("1 fine"), "\(recorded.transcript)")
        try alterInSilence("\(daemon.output)/b")
        let found = try daemon.dlctl("verify", "\(daemon.output)/b", "--wait")
        #expect(found.status == 1 && found.output.contains("1 changed"), "\(found.transcript)")
        let words = try daemon.dlctl("audit", id(found), "results")
        #expect(words.output.contains("changed    b: its digest is sha256:"), "\(words.transcript)")
    }

    @Test func `what is repaired must have the digest that is known, and what lies there stays until then`()
        throws
    {
        let server = try ScriptedServer()
        server.route("/a", ScriptedFile(sample(1, 100)))
        let daemon = try RunningDaemon.start(quickRetries.merged(with: ["digest": ["always": "sha-256"]]))
        #expect(try daemon.finish("a.txt", "\(server.url("a"))\n header=X-Key: 7\n").folder == "done")
        try FileTree.write("mine now", to: "\(daemon.output)/a")
        // The server has another version by now.
        server.route("/a", ScriptedFile(sample(2, 100)))
        let run = try daemon.dlctl("verify", "--all", "--repair", "--wait", within: .seconds(60))
        #expect(run.status == 1, "\(run.transcript)")
        #expect(try FileTree.text("\(daemon.output)/a") == "mine now")
        let list = try #require(try audit(daemon, id(run)).repairList)
        #expect(try daemon.results(list).joined().contains("digest_mismatch"))
        let entry = try FileTree.text("\(daemon.spool)/failed/\(list)")
        #expect(entry.contains(#""X-Key":"7""#) && entry.contains(#""exists":"overwrite""#), "\(entry)")
        // The right version again: the next audit mends it.
        server.route("/a", ScriptedFile(sample(1, 100)))
        #expect(try daemon.dlctl("verify", "./a", "--repair", "--wait", within: .seconds(60)).status == 0)
        try daemon.expectFile("a", sample(1, 100))
    }

    @Test func `audits queue, are paused, resumed and cancelled, and status shows the one at work`() throws {
        let server = try ScriptedServer()
        for index in 0..<40 { server.route("/f\(index)", ScriptedFile(sample(index, 4096))) }
        let daemon = try RunningDaemon.start([
            "digest": ["always": "crc32c"], "verify": ["rate": "4KiB/s"],
        ])
        let list = (0..<40).map { "\(server.url("f\($0)"))\n" }.joined()
        #expect(try daemon.finish("forty.txt", list).folder == "done")
        let first = id(try daemon.dlctl("verify", "--all"))
        let second = id(try daemon.dlctl("verify", "./f1", "--repair"))
        try eventually("the first is at work", context: { daemon.account }) {
            try daemon.dlctl("status").output.contains("audit \(first): ")
        }
        #expect(try audit(daemon, second).state == .queued)
        #expect(try daemon.dlctl("audit", first, "pause").status == 0)
        #expect(try ended(daemon, second).fine == 1)
        #expect(try audit(daemon, first).paused)
        #expect(try daemon.dlctl("audit", first, "resume").status == 0)
        try eventually("the first is at work again", context: { daemon.account }) {
            try daemon.dlctl("status").output.contains("audit \(first): ")
        }
        #expect(try daemon.dlctl("audit", first, "cancel").output == "cancel audit \(first)\n")
        #expect(try audit(daemon, first).state == .cancelled)
        #expect(try daemon.dlctl("audit", second, "cancel").status == 1)
        let all = try daemon.dlctl("audits").output
        #expect(all.contains("everything") && all.contains("cancelled"), "\(all)")
    }

    @Test func `files that jobs replace while they are audited are never called bad`() throws {
        let server = try ScriptedServer()
        let names = (0..<60).map { "f\($0)" }
        func serve(_ generation: Int) {
            for (index, name) in names.enumerated() {
                server.route("/\(name)", ScriptedFile(sample(generation * 100 + index, 3000 + generation)))
            }
        }
        let daemon = try RunningDaemon.start([
            "digest": ["always": "sha-256"], "verify": ["rate": "unlimited"],
        ])
        let list = names.map { "\(server.url($0))\n exists=overwrite\n" }.joined()
        serve(0)
        #expect(try daemon.finish("first.txt", list).folder == "done")
        var fine = 0
        for generation in 1...6 {
            serve(generation)
            try daemon.drop("again-\(generation).txt", list)
            // Audits one after the other until the list is through.
            var hasEnded = false
            while !hasEnded {
                hasEnded = ["done", "failed"].contains {
                    FileTree.exists("\(daemon.spool)/\($0)/again-\(generation).txt")
                }
                let run = try daemon.dlctl("verify", "--all", "--wait")
                #expect(run.status == 0, "\(run.transcript)")
                fine += try audit(daemon, id(run)).fine
            }
            #expect(try daemon.waitForList("again-\(generation).txt") == "done")
        }
        #expect(fine >= names.count * 6)
    }

    @Test func `the death of sumd delays an audit and makes no file bad`() throws {
        let server = try ScriptedServer()
        let names = (0..<60).map { "f\($0)" }
        for (index, name) in names.enumerated() {
            server.route("/\(name)", ScriptedFile(sample(index, 4096)))
        }
        let daemon = try RunningDaemon.start([
            "digest": ["always": "sha-256"], "verify": ["rate": "40KiB/s"],
        ])
        let list = names.map { "\(server.url($0))\n" }.joined()
        #expect(try daemon.finish("sixty.txt", list).folder == "done")
        let number = id(try daemon.dlctl("verify", "--all"))
        for _ in 0..<4 {
            let status = try ControlAPI.decode(
                StatusDocument.self, from: Array(try daemon.dlctl("status", "--json").output.utf8))
            guard let pid = status.sums.pid else { continue }
            #expect(kill(pid, SIGKILL) == 0)
            try eventually("another sumd runs", context: { daemon.account }) {
                let now = try ControlAPI.decode(
                    StatusDocument.self, from: Array(try daemon.dlctl("status", "--json").output.utf8))
                return now.sums.isUp && now.sums.pid != pid
            }
        }
        let document = try ended(daemon, number)
        #expect(document.fine == 60 && document.bad == 0)
    }

    @Test func `what cannot be verified is said at once`() throws {
        let daemon = try RunningDaemon.start()
        #expect(try daemon.dlctl("verify").status == 64)
        #expect(try daemon.dlctl("verify", "--all", "./x").status == 64)
        #expect(try daemon.dlctl("verify", "./x", "y").status == 64)
        #expect(try daemon.dlctl("verify", "nosuch.txt").status == 1)
        let outside = try daemon.dlctl("verify", "/etc/passwd")
        #expect(outside.status == 64 && outside.errors.contains("is not below"), "\(outside.transcript)")
        let nothing = try daemon.dlctl("verify", "./nothing")
        #expect(
            nothing.status == 1 && nothing.errors.contains("nothing was published"), "\(nothing.transcript)")
        #expect(try daemon.dlctl("audit", "99").status == 1)
        // Nothing to look at is nothing bad.
        #expect(try daemon.dlctl("verify", "--all", "--wait").status == 0)
    }
}
