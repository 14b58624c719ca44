// SPDX-License-Identifier: Apache-2.0

import Foundation
import JobModel
import Testing

struct ResultLinesTests {
    private func text(_ bytes: [UInt8]?) -> String? { bytes.map { String(decoding: $0, as: UTF8.self) } }

    private func download() -> ResultRecord {
        var outcome = Outcome(state: .done, endedAt: WallTime(milliseconds: 1_795_341_605_418))
        outcome.path = OutputPath(trusted: "a/b.iso")
        outcome.finalURL = "https://mirror.example.org/b.iso?token=abc"
        outcome.bytes = 734_003_200
        outcome.fetchedBytes = 734_003_200
        outcome.digest = Checksum("crc32c:0a0b0c0d")
        outcome.contentType = "text/html"
        outcome.etag = "\"x\""
        outcome.httpStatus = 200
        outcome.httpVersion = "2"
        outcome.remoteIP = "192.0.2.1"
        outcome.attempts = 1
        outcome.flags = [.recovered]
        outcome.startedAt = WallTime(milliseconds: 1_795_341_600_123)
        outcome.worker = "xfer-0"
        outcome.timings.queued = 1_200_000
        outcome.timings.connect = 11_000_000
        outcome.timings.total = 5_295_123_456
        return ResultRecord(
            list: ListID(4711), line: 3, seq: JobSeq(1), job: JobID(rawValue: 0x5f0c_2e9a_11d0_4b7e),
            userID: nil,
            kind: .download(urls: ["https://u:pw@example.org/b.iso"], host: HostKey("example.org")),
            options: .none,
            state: .done, outcome: outcome)
    }

    private func sum(_ state: JobState, _ range: SumRange) -> ResultRecord {
        var outcome = Outcome(state: state, endedAt: WallTime(milliseconds: 0))
        outcome.value = "5000000050000000"
        outcome.attempts = 1
        outcome.timings.run = 12_900_000
        return ResultRecord(
            list: ListID(1), line: 4, seq: JobSeq(2), job: JobID(rawValue: 1), userID: "mine",
            kind: .sum(range),
            options: .none, state: state, outcome: outcome)
    }

    @Test func `a download's line has every key in order`() {
        #expect(
            text(download().resultLine()) == """
                {"list":4711,"line":3,"job":"5f0c2e9a11d04b7e","id":null,"kind":"download","state":"done",\
                "urls":["https://u:***@example.org/b.iso"],"url":"https://u:***@example.org/b.iso",\
                "final_url":"https://mirror.example.org/b.iso?token=***","host":"example.org","path":"a/b.iso",\
                "bytes":734003200,"fetched_bytes":734003200,"resumed_bytes":0,"digest":"crc32c:0a0b0c0d",\
                "content_type":"text/html","etag":"\\"x\\"","last_modified":null,"http_status":200,"http_version":"2",\
                "remote_ip":"192.0.2.1","attempts":1,"flags":["recovered"],"error":null,\
                "started_at":"2026-11-22T10:00:00.123Z","ended_at":"2026-11-22T10:00:05.418Z",\
                "timings":{"queued_ms":1.2,"waiting_ms":0,"dns_ms":null,"connect_ms":11,"tls_ms":null,\
                "first_byte_ms":null,"transfer_ms":null,"publish_ms":null,"total_ms":5295.123}}

                """)
    }

    @Test func `a sum's line has every key in order`() {
        #expect(
            text(sum(.done, SumRange(from: 0, to: 100_000_000)).resultLine()) == """
                {"list":1,"line":4,"job":"0000000000000001","id":"mine","kind":"sum","state":"done","from":"0","to":"100000000",\
                "value":"5000000050000000","attempts":1,"flags":[],"error":null,"started_at":null,\
                "ended_at":"1970-01-01T00:00:00.000Z",\
                "timings":{"queued_ms":null,"waiting_ms":0,"run_ms":12.9,"cpu_ms":null,"total_ms":null}}

                """)
    }

    private func badLine() -> ResultRecord {
        var outcome = Outcome(state: .failed, endedAt: WallTime(milliseconds: 0))
        outcome.error = JobError(.badURL, "no scheme in \"x\u{1b}\"")
        return ResultRecord(
            list: ListID(1), line: 9, seq: JobSeq(3), job: nil, userID: nil, kind: .badLine,
            options: .none,
            state: .failed, outcome: outcome)
    }

    @Test func `a bad line is a download without job and URLs`() throws {
        let line = try #require(text(badLine().resultLine()))
        #expect(
            line.hasPrefix(
                #"{"list":1,"line":9,"job":null,"id":null,"kind":"download","state":"failed","urls":[],"url":null"#
            ))
        #expect(
            line.contains(
                #""error":{"code":"bad_url","class":"input","message":"no scheme in \"x\u001b\"","retryable":false}"#
            ))
        #expect(badLine().retryLine() == nil)
    }

    @Test func `every kind of download line has the same keys`() throws {
        var open = download()
        open.outcome = nil
        open.state = .queued
        func keys(_ record: ResultRecord) throws -> [String] {
            let object = try JSONSerialization.jsonObject(with: Data(record.resultLine())) as? [String: Any]
            return try #require(object).keys.sorted()
        }
        #expect(try keys(open) == keys(download()))
        #expect(try keys(badLine()) == keys(download()))
    }

    @Test func `the log line names the worker`() {
        #expect(text(download().logLine())?.hasSuffix(",\"worker\":\"xfer-0\"}\n") == true)
    }

    @Test func `what is done is not tried again`() {
        #expect(download().retryLine() == nil)
    }

    @Test func `a retry entry has all options and its secrets`() {
        var record = download()
        record.state = .failed
        record.userID = "k\"1"
        var options = JobOptions()
        options.out = "x\u{1}"
        options.dir = "d"
        options.checksum = Checksum("md5:00112233445566778899aabbccddeeff")
        options.size = 9_007_199_254_740_993
        options.headers = [
            HeaderField(name: "Cookie", value: "a"), HeaderField(name: "X", value: "1"),
            HeaderField(name: "cookie", value: "b"),
        ]
        options.password = "pw"
        options.proxy = ""
        options.maxRate = 1024
        options.retryDelaySeconds = 0.5
        options.timeoutSeconds = 60
        options.exists = .update
        options.remoteTime = true
        options.priority = -1
        options.pause = false
        options.checkCertificate = false
        record.options = options
        #expect(
            text(record.retryLine()) == """
                {"url":"https://u:pw@example.org/b.iso","out":"x\\u0001","dir":"d","checksum":"md5:00112233445566778899aabbccddeeff",\
                "size":9007199254740993,"headers":{"Cookie":["a","b"],"X":"1"},"password":"pw","proxy":"","max_rate":1024,\
                "retry_delay":0.5,"timeout":60,"exists":"update","remote_time":true,"check_certificate":false,"id":"k\\"1",\
                "priority":-1,"pause":false}

                """)
        record.kind = .download(urls: ["http://a/", "http://b/"], host: HostKey("a"))
        record.options = JobOptions()
        record.userID = nil
        #expect(text(record.retryLine()) == "{\"urls\":[\"http://a/\",\"http://b/\"]}\n")
    }

    @Test func `bounds of a sum stay exact`() {
        let record = sum(.failed, SumRange(from: 9_007_199_254_740_993, to: .max))
        #expect(
            text(record.retryLine())
                == "{\"sum\":{\"from\":9007199254740993,\"to\":18446744073709551615},\"id\":\"mine\"}\n")
    }

    @Test(
        arguments: [
            (0, "1970-01-01T00:00:00.000Z"), (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (1_709_164_799_999, "2024-02-28T23:59:59.999Z"), (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (Int64.max, "9999-12-31T23:59:59.999Z"), (Int64.min, "0000-01-01T00:00:00.000Z"),
        ] as [(Int64, String)])
    func `times are UTC with milliseconds`(milliseconds: Int64, text: String) {
        #expect(WallTime(milliseconds: milliseconds).iso8601 == text)
    }

    @Test func `strings survive a JSON reader`() throws {
        let hostile = "\"\\\u{0}\u{1f}\u{7f}\u{85}\u{202e}\u{2028}\u{e0041}é漢😀\r\n\t/"
        var json = JSONText()
        json.array {
            $0.value(hostile)
            $0.value(UInt64.max)
            $0.value(Double.nan)
            $0.value(1.5)
            $0.value(true)
            $0.object { _ in }
            $0.milliseconds(nanoseconds: 999_999)
            $0.milliseconds(nanoseconds: .max)
        }
        #expect(json.bytes.allSatisfy { $0 >= 0x20 && $0 != 0x7F })
        let values = try #require(try JSONSerialization.jsonObject(with: Data(json.bytes)) as? [Any])
        #expect(values[0] as? String == hostile)
        #expect(
            String(decoding: json.bytes, as: UTF8.self).hasSuffix(
                ",18446744073709551615,null,1.5,true,{},1,9223372036854.776]"))
    }
}
