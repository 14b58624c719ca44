// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

@Suite struct MountTableTests {
    private func table(_ lines: String..., root: String = "/srv/dld") -> [String] {
        let text = lines.map { $0 + " rw,relatime shared:1 - ext4 /dev/x rw\n" }.joined()
        return MountTable(mountinfo: Array(text.utf8), below: Array(root.utf8)).homes
            .map { String(decoding: $0.path, as: UTF8.self) }.sorted()
    }
    private let top = "20 1 8:1 / /"

    @Test func `mounts below the output are found, others are not`() {
        #expect(table(top, "30 20 8:2 / /srv/dld", "31 20 8:3 / /srv/dld2", "32 20 8:4 / /home") == [])
        #expect(table(top, "30 20 8:2 / /srv/dld", "31 30 8:3 / /srv/dld/big") == ["big"])
        // A bind mount has the device of its source, and is a mount all the same.
        #expect(table(top, "31 20 8:1 /data/x /srv/dld/a/b") == ["a/b"])
        #expect(table(top, "30 20 0:5 / /proc", root: "/") == ["proc"])
    }

    @Test func `a name with blanks and backslashes is read as it is`() {
        #expect(table(top, #"31 20 8:3 / /srv/dld/a\040b\134c"#) == [#"a b\c"#])
        let path = Array("x \t\n\\y".utf8)
        #expect(MountTable.unescaped(MountTable.escaped(path)[...]) == path)
    }

    @Test func `a mount that was mounted over is not there`() {
        let (inner, cover) = ("31 20 8:3 / /srv/dld/a/x", "32 20 8:4 / /srv/dld/a")
        #expect(table(top, inner, cover) == ["a"])
        // The same the other way round: x lies on what covers a.
        #expect(table(top, cover, "31 32 8:3 / /srv/dld/a/x") == ["a", "a/x"])
        // Two on one point: the upper one counts, once.
        #expect(table(top, "31 20 8:3 / /srv/dld/a", "32 31 8:4 / /srv/dld/a") == ["a"])
    }

    @Test func `junk in the table is passed over`() {
        #expect(table("", "x", "1 2", "a b c d /srv/dld/x", top, "31 20 8:3 / /srv/dld/ok") == ["ok"])
    }

    @Test(arguments: [
        ("f", ""), ("big", ""), ("big/f", "big"), ("bigger/f", ""), ("big/in/f", "big/in"),
        ("big/inn/f", "big"),
    ])
    func `a part lies on the innermost mount of its final path`(path: String, home: String) {
        let table = MountTable(homes: ["big", "big/in"].map { PartHome(Array($0.utf8)) })
        #expect(table.home(of: OutputPath(trusted: path)) == PartHome(Array(home.utf8)))
    }

    @Test func `the directory of a home's parts is told by the output's own`() {
        let home = PartHome(Array("a/b".utf8))
        #expect(PartHome.output.parts(output: "/o", main: "/o/.dld/ID") == "/o/.dld/ID")
        #expect(home.parts(output: "/o", main: "/o/.dld/ID") == "/o/a/b/.dld/ID")
    }
}
