// SPDX-License-Identifier: Apache-2.0

import Glibc
import TestKit
import Testing

/// `dld fsck` says what is wrong in words, and mends what is dld's own.
@Suite(.serialized) struct FsckTests {
    /// A daemon that has fetched three files and was stopped.
    private func stopped(_ server: ScriptedServer) throws -> RunningDaemon {
        for name in ["a", "b", "c"] { server.route("/\(name)", ScriptedFile(sample(name.utf8.count, 5000))) }
        let daemon = try RunningDaemon.start()
        let urls = ["a", "b", "c"].map { server.url($0) }.joined(separator: "\n") + "\n"
        #expect(try daemon.finish("first.txt", urls).folder == "done")
        try daemon.terminate()
        return daemon
    }

    @Test func `all is well after a clean stop, and a running daemon is left alone`() throws {
        let server = try ScriptedServer()
        let daemon = try stopped(server)
        let run = try daemon.dld("fsck", "--strict", "--digest")
        #expect(run.status == 0, "\(run.transcript)")
        #expect(
            run.output.contains("looked at 1 lists, 3 published files, 0 parts: 0 wrong, 0 mended, 0 notes"))
        try daemon.start()
        let beside = try daemon.dld("fsck")
        #expect(beside.status == 75, "\(beside.transcript)")
        #expect(beside.errors.contains("in use by dld"))
    }

    @Test
    func `a file that is gone or changed is a note, an error with strict, and fetched again on request`()
        throws
    {
        let server = try ScriptedServer()
        let daemon = try stopped(server)
        FileTree.remove("\(daemon.output)/a")
        try FileTree.write("cut", to: "\(daemon.output)/b")
        let look = try daemon.dld("fsck")
        #expect(look.status == 0, "\(look.transcript)")
        #expect(look.output.contains("note: \(daemon.output)/a: it is gone"))
        #expect(look.output.contains("note: \(daemon.output)/b: it has 3 bytes, 5000 were published"))
        #expect(try daemon.dld("fsck", "--strict").status == 1)
        let again = try daemon.dld("fsck", "--refetch")
        #expect(again.status == 0, "\(again.transcript)")
        #expect(again.output.contains("2 files are queued again"))
        #expect(try daemon.dld("once").status == 0)
        for name in ["a", "b", "c"] { try daemon.expectFile(name, sample(name.utf8.count, 5000)) }
        #expect(server.count("/c") == 1)
        #expect(try daemon.dld("fsck", "--strict").status == 0)
    }

    @Test func `files on a disk that is not mounted are neither gone nor fetched again`() throws {
        let server = try ScriptedServer()
        let daemon = try stopped(server)
        try daemon.start()
        #expect(try daemon.finish("below.txt", "\(server.url("a"))\n dir=disk\n").folder == "done")
        try daemon.terminate()
        FileTree.remove("\(daemon.output)/disk/a")
        try FileTree.write("disk\n", to: "\(daemon.output)/.dld/mounts")
        let run = try daemon.dld("fsck", "--repair", "--refetch")
        #expect(run.status == 1, "\(run.transcript)")
        #expect(run.output.contains("wrong: \(daemon.output)/disk: it is not mounted"))
        #expect(!run.output.contains("gone") && !run.output.contains("queued again"))
    }

    @Test func `bytes that changed under the same size and time show with digest`() throws {
        let server = try ScriptedServer()
        server.route("/d", ScriptedFile(sample(9, 4000)))
        let daemon = try RunningDaemon.start(["digest": ["always": "sha-256"]])
        #expect(try daemon.finish("d.txt", "\(server.url("d"))\n").folder == "done")
        try daemon.terminate()
        let path = "\(daemon.output)/d"
        let before = try #require(FileTree.status(path))
        try FileTree.write(sample(10, 4000), to: path)
        var times = [before.st_atim, before.st_mtim]
        #expect(utimensat(AT_FDCWD, path, &times, 0) == 0)
        #expect(try daemon.dld("fsck", "--strict").status == 0)
        let deep = try daemon.dld("fsck", "--strict", "--digest")
        #expect(deep.status == 1, "\(deep.transcript)")
        #expect(deep.output.contains("its digest is sha256:"))
    }

    @Test func `orphan parts and what a crash left are removed by repair only`() throws {
        let server = try ScriptedServer()
        let daemon = try stopped(server)
        let folder = try #require(FileTree.names("\(daemon.output)/.dld").first { $0 != "id" })
        let part = "\(daemon.output)/.dld/\(folder)/0123456789abcdef.part"
        let leftovers = [
            "\(daemon.spool)/.dld-upload-77", "\(daemon.spool)/failed/.12.results.tmp",
            "\(daemon.spool)/rejected/.00ff.tmp",
        ]
        for path in leftovers + [part] { try FileTree.write("x", to: path) }
        let look = try daemon.dld("fsck")
        #expect(look.status == 1, "\(look.transcript)")
        #expect(look.output.contains("wrong: \(part): no job goes on with this part"))
        #expect(FileTree.exists(part))
        let mend = try daemon.dld("fsck", "--repair")
        #expect(mend.status == 0, "\(mend.transcript)")
        for path in leftovers + [part] { #expect(!FileTree.exists(path), "\(path)") }
        #expect(try daemon.dld("fsck", "--strict").output.contains("0 wrong, 0 mended, 0 notes"))
    }

    @Test func `a list in accepted that the ledger does not know is admitted again`() throws {
        let server = try ScriptedServer()
        let daemon = try stopped(server)
        server.route("/late", ScriptedFile(sample(4, 3000)))
        try FileTree.write("\(server.url("late"))\n", to: "\(daemon.spool)/accepted/lost.txt")
        let look = try daemon.dld("fsck")
        #expect(look.status == 1)
        #expect(look.output.contains("the ledger knows no such list"), "\(look.transcript)")
        #expect(try daemon.dld("fsck", "--repair").status == 0)
        #expect(try daemon.dld("once").status == 0)
        #expect(FileTree.exists("\(daemon.spool)/done/lost.txt"))
        try daemon.expectFile("late", sample(4, 3000))
    }

    @Test func `results that are missing beside their list are written again`() throws {
        let server = try ScriptedServer()
        let daemon = try stopped(server)
        let results = "\(daemon.spool)/done/first.txt.results.jsonl"
        let before = try FileTree.lines(results)
        FileTree.remove(results)
        #expect(try daemon.dld("fsck", "--strict").status == 1)
        #expect(try daemon.dld("fsck", "--repair").status == 0)
        #expect(try daemon.dld("once").status == 0)
        #expect(try FileTree.lines(results) == before)
        #expect(server.count("/a") == 1)
    }

    @Test func `a moved output is taken only when somebody says so`() throws {
        let server = try ScriptedServer()
        let daemon = try stopped(server)
        FileTree.remove("\(daemon.output)/.dld/id")
        let look = try daemon.dld("fsck")
        #expect(look.status == 1, "\(look.transcript)")
        #expect(look.output.contains("dld fsck --adopt"))
        #expect(try daemon.dld("fsck", "--adopt").status == 0)
        #expect(try daemon.dld("fsck", "--strict").status == 0)
        try FileTree.write("00112233445566ff\n", to: "\(daemon.output)/.dld/id")
        #expect(try daemon.dld("fsck").output.contains("belongs to another ledger (00112233445566ff)"))
        #expect(try daemon.dld("fsck", "--adopt").status == 0)
        #expect(try daemon.dld("fsck", "--strict").status == 0)
    }

    @Test func `a ledger that others may read is closed to them`() throws {
        let server = try ScriptedServer()
        let daemon = try stopped(server)
        #expect(chmod("\(daemon.spool)/accepted", 0o777) == 0)
        let look = try daemon.dld("fsck")
        #expect(look.status == 1)
        #expect(look.output.contains("its mode is 777"), "\(look.transcript)")
        #expect(try daemon.dld("fsck", "--repair").status == 0)
        #expect(daemon.mode("spool/accepted") == 0o2750)
    }
}
