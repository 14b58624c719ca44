// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

@testable import Spool

@Suite struct JSONLinesParserTests {
    private func entries(_ lines: String...) throws -> ([ListEntry], JobOptions?) {
        var parser = JSONLinesParser(rules: ListRules())
        var found: [ListEntry] = []
        for (index, line) in lines.enumerated() {
            let line = ListLine(number: index + 1, offset: 0, content: .bytes(Array(line.utf8)))
            found += try parser.take(line).entries
        }
        return (found, parser.defaults)
    }

    @Test func `every key is read`() throws {
        let (found, _) = try entries(
            """
            {"url":"http://a/1","id":"k","out":"o","dir":"d","checksum":"sha1:da39a3ee5e6b4b0d3255bfef95601890afd80709",
            "size":0,"headers":{"B":["1","2"],"A":"3"},"referer":"r","user_agent":"u","username":"n","password":"p","proxy":"",
            "max_rate":5,"max_attempts":1,"retry_delay":0.5,"timeout":2,"connect_timeout":3,"exists":"update","remote_time":true,
            "priority":-2,"pause":false,"check_certificate":true}
            """.split(separator: "\n").joined())
        let options = found[0].options
        #expect(found[0].body == .urls(["http://a/1"]))
        #expect(options.headers?.map(\.value) == ["3", "1", "2"])
        #expect(
            options.size == 0 && options.retryDelaySeconds == 0.5 && options.exists == .update
                && options.priority == -2)
        #expect(options.checksum?.algorithm == .sha1 && options.maxRate == 5 && options.id == "k")
    }

    @Test func `an unknown key or a wrong type costs the line and is named`() throws {
        for (line, word) in [
            (#"{"url":"http://a/1","nmae":1}"#, "nmae"), (#"{"url":1}"#, "url"), (#"{"urls":"x"}"#, "urls"),
            (#"{"urls":[]}"#, "urls"), (#"{"url":"http://a","size":-1}"#, "size"),
            (#"{"url":"http://a","size":1.5}"#, "size"),
            (#"{"url":"http://a","pause":"true"}"#, "pause"),
            (#"{"url":"http://a","priority":1e9}"#, "priority"),
            (#"{"url":"http://a","headers":{"Range":"bytes=0-"}}"#, "headers"), (#"{"id":"x"}"#, "url"),
            (#"{"url":"http://a","headers":["A: b"]}"#, "headers"), (#"{"sum":{"from":1,"too":2}}"#, "too"),
            (#"{"url":"http://a","urls":["http://b"]}"#, "urls"), (#"[1]"#, "object"), ("nonsense", "JSON"),
            (#"{"sum":{"from":0,"to":1},"out":"x"}"#, "out"),
        ] {
            let (found, _) = try entries(line)
            #expect(found.count == 1 && code(found[0]) != nil, "\(line)")
            #expect(found[0].badMessage.contains(word) && found[0].badMessage.contains("line 1"), "\(found)")
        }
    }

    @Test func `sums are exact up to the last bound`() throws {
        #expect(
            try entries(#"{"sum":{"from":0,"to":100000000}}"#).0[0].body
                == .sum(SumRange(from: 0, to: 100_000_000)))
        let top = UInt64.max
        #expect(
            try entries("{\"sum\":{\"from\":\(top),\"to\":\(top)}}").0[0].body
                == .sum(SumRange(from: top, to: top)))
        #expect(
            try entries("{\"sum\":{\"from\":\"\(top)\",\"to\":\"\(top)\"}}").0[0].body
                == .sum(SumRange(from: top, to: top)))
        for bad in ["-1", "1.5", "18446744073709551616", "\"1e3\"", "\"007\"", "null", "true", "\"\""] {
            let (found, _) = try entries("{\"sum\":{\"from\":0,\"to\":\(bad)}}")
            #expect(code(found[0]) != nil, "\(bad)")
        }
    }

    @Test func `defaults stand on the first line only`() throws {
        let (found, defaults) = try entries(
            #"{"defaults":{"dir":"d","out":"dropped"}}"#, #"{"url":"http://a/1"}"#, #"{"defaults":{}}"#)
        #expect(defaults?.dir == "d" && defaults?.out == nil)
        #expect(found.count == 2 && code(found[1]) == .badLine)
        #expect(throws: ListRefusal.self) { try entries(#"{"defaults":{"timeout":0}}"#) }
        #expect(throws: ListRefusal.self) { try entries(#"{"defaults":{"id":"x"}}"#) }
    }

    @Test func `deep nesting and lone surrogates are bad lines`() throws {
        let deep = String(repeating: "[", count: 60_000)
        #expect(code(try entries(deep).0[0]) == .badLine)
        #expect(code(try entries("{\"url\":" + deep).0[0]) == .badLine)
        #expect(code(try entries(#"{"url":"http://a/\ud800"}"#).0[0]) == .badLine)
        #expect(try entries("   ").0.isEmpty)
    }

    @Test func `a retry line of the results is an entry again`() throws {
        var options = JobOptions()
        options.headers = [HeaderField(name: "A", value: "1"), HeaderField(name: "A", value: "2")]
        options.lowestSpeed = 7
        options.maxAttempts = 3
        options.id = "k"
        var outcome = Outcome(state: .failed, endedAt: WallTime(milliseconds: 0))
        outcome.error = JobError(.http(404), "x")
        for kind in [
            ResultRecord.Kind.download(urls: ["http://a/1", "http://b/1"], host: HostKey("a")),
            .sum(SumRange(from: 1, to: 2)),
        ] {
            let record = ResultRecord(
                list: ListID(1), line: 1, seq: JobSeq(1), job: JobID(rawValue: 1), userID: "k", kind: kind,
                options: SharedOptions(options),
                state: .failed, outcome: outcome)
            let line = try #require(record.retryLine())
            let (found, _) = try entries(String(decoding: line.dropLast(), as: UTF8.self))
            #expect(found.count == 1 && code(found[0]) == nil, "\(found)")
            #expect(found[0].options.id == "k" && found[0].options.maxAttempts == 3)
        }
    }
}
