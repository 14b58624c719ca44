// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

@testable import Spool

/// Feeds a whole text through reader-free machinery: scanner and grammar.
func textEntries(
    _ text: String, rules: ListRules = ListRules()
) throws -> (entries: [ListEntry], remarks: [ListRemark]) {
    var machine = TextListMachine(rules: rules)
    var scanner = LineScanner()
    let bytes = Array(text.utf8)
    var start = 0
    var all = ListYield()
    func add(_ yield: ListYield) {
        all.entries += yield.entries
        all.remarks += yield.remarks
    }
    while let line = scanner.next(in: bytes, from: &start) { add(try machine.take(line)) }
    if let last = scanner.finish() { add(try machine.take(last)) }
    add(try machine.finish())
    return (all.entries, all.remarks)
}

func code(_ entry: ListEntry) -> ErrorCode? {
    if case .bad(let error) = entry.body { error.code } else { nil }
}

@Suite struct TextListMachineTests {
    @Test func `a plain list of URLs is a list`() throws {
        let (entries, _) = try textEntries("http://a/1\r\n# no\n\nhttp://a/2\thttp://b/2\t\nhttp://a/3")
        #expect(entries.map(\.line) == [1, 4, 5])
        #expect(
            entries.map(\.body) == [
                .urls(["http://a/1"]), .urls(["http://a/2", "http://b/2"]), .urls(["http://a/3"]),
            ])
    }

    @Test func `indented lines are options, the last of a name wins, headers add up`() throws {
        let text = """
            http://a/1
             out=x
            # a comment does not end an entry

            \tout = y z
              header=A: 1
             header=B:2
             max-download-limit=2K
             checksum=md5=00112233445566778899aabbccddeeff
             gid=00000000000000ff
             retry-wait=3
             max-tries=0
             referer=*
             http-user=u
             http-passwd=p
             all-proxy=
             remote-time=true
             lowest-speed-limit=1M
             timeout=30
             connect-timeout=5
             user-agent=me
             pause=true
             id=key 7
             priority=-3
             continue=true
            """
        let (entries, remarks) = try textEntries(text)
        let options = try #require(entries.first).options
        #expect(remarks.isEmpty && entries.count == 1)
        #expect(options.out == "y z" && options.maxRate == 2048 && options.lowestSpeed == 1 << 20)
        #expect(options.headers == [HeaderField(name: "A", value: "1"), HeaderField(name: "B", value: "2")])
        #expect(entries[0].gid == JobID(rawValue: 255) && options.checksum?.algorithm == .md5)
        #expect(options.retryDelaySeconds == 3 && options.maxAttempts == 0 && options.referer == "*")
        #expect(options.username == "u" && options.password == "p" && options.proxy == "")
        #expect(
            options.remoteTime == true && options.timeoutSeconds == 30 && options.connectTimeoutSeconds == 5)
        #expect(
            options.userAgent == "me" && options.pause == true && options.id == "key 7"
                && options.priority == -3)
    }

    @Test func `an indented line that is no option is a bad line, and its entry goes on`() throws {
        let (entries, _) = try textEntries("http://a/1\n http://a/2\n http://a/3?x=1\n out=x\nhttp://a/4\n")
        #expect(entries.map(\.line) == [1, 2, 3, 5])
        #expect(entries[0].options.out == "x")
        #expect(code(entries[1]) == .badLine && code(entries[2]) == .badLine)
        #expect(entries[1].badMessage.contains("line 2") && entries[1].badMessage.contains("first column"))
    }

    @Test func `a bad value costs the entry and names its line`() throws {
        for line in [
            "max-tries=x", "pause=yes", "checksum=sha-256=00", "gid=0", "timeout=0", "max-download-limit=5G",
            "exists=maybe", "priority=1.5", "header=nonsense", "header=Range: bytes=0-1",
            "header=If-None-Match: x",
            "header=te: trailers", "retry-wait=-1", "all-proxy=a b",
        ] {
            let (entries, _) = try textEntries("http://a/1\n out=x\n \(line)\nhttp://a/2\n")
            #expect(entries.count == 2, "\(line)")
            #expect(code(entries[0]) == .badOption, "\(line)")
            #expect(entries[0].badMessage.contains("line 3: "), "\(entries[0].badMessage)")
        }
        // Only the last value of a name counts.
        let (entries, _) = try textEntries("http://a/1\n max-tries=x\n max-tries=2\n")
        #expect(entries[0].options.maxAttempts == 2)
    }

    @Test func `aria2's words for a taken name become one policy`() throws {
        func policy(_ options: String...) throws -> ExistsPolicy? {
            try textEntries("http://a/1\n" + options.map { " \($0)\n" }.joined()).entries[0].options.exists
        }
        #expect(try policy("allow-overwrite=true") == .overwrite)
        #expect(try policy("auto-file-renaming=false") == .fail)
        #expect(try policy("conditional-get=true", "allow-overwrite=true") == .update)
        #expect(try policy("allow-overwrite=true", "exists=skip") == .skip)
        #expect(try policy("allow-overwrite=false") == nil)
        let (entries, _) = try textEntries(
            " allow-overwrite=true\nhttp://a/1\n allow-overwrite=false\nhttp://a/2\n")
        #expect(entries[0].options.exists == .rename && entries[1].options.exists == nil)
    }

    @Test func `defaults come before the first entry, and bad ones refuse the list`() throws {
        var machine = TextListMachine(rules: ListRules())
        var scanner = LineScanner()
        let bytes = Array(" user-agent=me\n dir=d\n out=never\nhttp://a/1\n".utf8)
        var start = 0
        var remarks: [ListRemark] = []
        while let line = scanner.next(in: bytes, from: &start) { remarks += try machine.take(line).remarks }
        #expect(
            machine.defaults?.userAgent == "me" && machine.defaults?.dir == "d"
                && machine.defaults?.out == nil)
        #expect(remarks.map(\.line) == [3])
        for bad in [
            " max-tries=x\n", " checksum=md5=00112233445566778899aabbccddeeff\n", " gid=00000000000000ff\n",
        ] {
            #expect(throws: ListRefusal.self) { try textEntries(bad + "http://a/1\n") }
        }
    }

    @Test func `other aria2 options are noted once, unknown names warned of once`() throws {
        let entry = "http://a/1\n uri-selector=inorder\n nonsense-here=1\n"
        let (entries, remarks) = try textEntries(entry + entry)
        #expect(entries.count == 2 && entries.allSatisfy { code($0) == nil })
        #expect(remarks.map(\.level) == [.note, .warning])
        #expect(remarks.map(\.line) == [2, 3])
    }

    @Test func `how many connections a file may have is the list's to ask, within bounds`() throws {
        let words = " split=8\n max-connection-per-server=4\n min-split-size=20M\n"
        let options = try textEntries("http://a/1\n" + words).entries[0].options
        #expect(options.split == 8 && options.connectionsPerServer == 4 && options.minSplitSize == 20 << 20)
        // aria2 takes no less than a mebibyte.
        #expect(
            try textEntries("http://a/1\n min-split-size=1K\n").entries[0].options.minSplitSize == 1 << 20)
        for bad in ["split=0", "split=65", "max-connection-per-server=x", "min-split-size=-1"] {
            #expect(code(try textEntries("http://a/1\n \(bad)\n").entries[0]) == .badOption)
        }
    }

    @Test func `a limit of 0 clears a default and is dropped elsewhere`() throws {
        let (entries, _) = try textEntries(" max-download-limit=1K\nhttp://a/1\n max-download-limit=0\n")
        #expect(entries[0].options.maxRate == 0)
        #expect(try textEntries("http://a/1\n max-download-limit=0\n").entries[0].options.maxRate == nil)
    }

    // S7
    @Test func `bounds of a sum are digits and nothing else`() throws {
        #expect(try textEntries("sum:10\n").entries[0].body == .sum(SumRange(from: 0, to: 10)))
        #expect(
            try textEntries("sum:3..10\n priority=2\n").entries[0].body == .sum(SumRange(from: 3, to: 10)))
        let top = UInt64.max
        #expect(
            try textEntries("sum:\(top)..\(top)\n").entries[0].body == .sum(SumRange(from: top, to: top)))
        for bad in [
            "-1", "+5", "007", " 5 ..6", "1e3", "0x10", "١٢", "", "18446744073709551616", "NaN", "1..", "..1",
            "1...2",
            String(repeating: "9", count: 400),
        ] {
            let (entries, _) = try textEntries("sum:\(bad)\n")
            #expect(code(entries[0]) == .badNumber, "\(bad): \(entries[0])")
            #expect(entries[0].badMessage.contains("line 1"))
        }
        #expect(code(try textEntries("sum:5..4\n").entries[0]) == .badRange)
        #expect(code(try textEntries("sum:0..10000000000000\n").entries[0]) == .badRange)
    }

    @Test func `an entry with hundreds of bad option lines fails and holds nothing`() throws {
        let (entries, _) = try textEntries(
            "http://a/1\n" + String(repeating: " bad\n", count: 1000) + " out=x\nhttp://a/2\n")
        #expect(entries.count == 1002)
        #expect(code(entries[0]) == .badLine && code(entries[1001]) == nil)
        #expect(entries.map(\.line) == entries.map(\.line).sorted())
    }
}
