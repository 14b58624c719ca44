// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import ControlClient
import JobModel
import Testing

@Suite struct DocumentTests {
    private func text(_ document: some Encodable) throws -> String {
        String(decoding: try ControlAPI.encode(document), as: UTF8.self)
    }

    @Test func `every document comes back as it was`() throws {
        for status in [Samples.idle(), Samples.busy(), StatusDocument()] {
            #expect(try ControlAPI.decode(StatusDocument.self, from: ControlAPI.encode(status)) == status)
        }
        for job in [Samples.sum(), JobDocument()] {
            #expect(try ControlAPI.decode(JobDocument.self, from: ControlAPI.encode(job)) == job)
        }
        let page = PageDocument(items: [Samples.list()], next: nil)
        #expect(try ControlAPI.decode(PageDocument<ListDocument>.self, from: ControlAPI.encode(page)) == page)
    }

    @Test func `what is unknown is null, never missing`() throws {
        let status = try text(StatusDocument())
        #expect(status.contains("\"pause_reason\":null"))
        #expect(status.contains("\"seconds_left\":null"))
        #expect(status.contains("\"config\":{\"path\":null,\"reason\":null,\"state\":\"ok\"}"))
        #expect(try text(PageDocument<ListDocument>(items: [], next: nil)) == "{\"items\":[],\"next\":null}")
        #expect(try text(ListDocument()).contains("\"final_name\":null"))
    }

    @Test func `keys are snake case`() throws {
        for json in [try text(Samples.busy()), try text(Samples.download()), try text(Samples.sum())] {
            // No value of the samples has a quote and a colon next to each other.
            for piece in json.split(separator: "\":").dropLast() {
                let key = piece.split(separator: "\"", omittingEmptySubsequences: false).last ?? ""
                #expect(key.allSatisfy { $0.isLowercase || $0.isNumber || $0 == "_" }, "\(key)")
            }
        }
    }

    @Test func `a newer daemon's extra keys are ignored, an older one's missing ones are null`() throws {
        let json =
            #"{"host":"a","connections":1,"connection_limit":6,"active":0,"queued":0,"waiting":0,"new":[1]}"#
        let host = try ControlAPI.decode(HostDocument.self, from: Array(json.utf8))
        #expect(host.httpVersion == nil && host.connections == 1)
    }

    @Test func `a download has the keys of the results and wait`() throws {
        let json = try text(Samples.download())
        let keys = [
            "list", "line", "job", "id", "kind", "state", "urls", "url", "final_url", "host", "path", "bytes",
            "fetched_bytes", "resumed_bytes", "digest", "content_type", "etag", "last_modified",
            "http_status",
            "http_version", "remote_ip", "attempts", "flags", "error", "started_at", "ended_at", "timings",
            "wait",
            "queued_ms", "waiting_ms", "dns_ms", "connect_ms", "tls_ms", "first_byte_ms", "transfer_ms",
            "publish_ms",
            "total_ms",
        ]
        for key in keys { #expect(json.contains("\"\(key)\":"), "\(key)") }
        #expect(json.contains("\"wait\":{\"reason\":\"backoff\",\"until\":\"2026-11-22T03:13:00.000Z\"}"))
        #expect(json.contains("\"queued_ms\":1.2"))
        #expect(!json.contains("run_ms"))
    }

    @Test func `a sum has the keys of its results and wait`() throws {
        let json = try text(Samples.sum())
        for key in ["from", "to", "value", "queued_ms", "waiting_ms", "run_ms", "cpu_ms", "total_ms", "wait"]
        {
            #expect(json.contains("\"\(key)\":"), "\(key)")
        }
        #expect(json.contains("\"value\":\"5000000050000000\""))
        #expect(!json.contains("urls") && !json.contains("dns_ms"))
    }

    @Test func `a record of the ledger becomes a document with its secrets masked`() throws {
        var outcome = Outcome(state: .failed, endedAt: Samples.at(3, 2).time)
        outcome.error = JobError(.http(404), "not found")
        outcome.finalURL = "https://example.org/x?token=abc"
        outcome.attempts = 1
        let record = ResultRecord(
            list: ListID(4711), line: 3, seq: JobSeq(7), job: JobID(rawValue: 0xab), userID: "mine",
            kind: .download(urls: ["https://u:secret@example.org/x"], host: HostKey("example.org")),
            options: .none, state: .failed, outcome: outcome)
        let job = JobDocument(record, wait: WaitDocument(reason: .backoff, until: nil))
        #expect(job.download.urls == ["https://u:***@example.org/x"])
        #expect(job.download.finalURL == "https://example.org/x?token=***")
        #expect(
            job.error
                == JobErrorDocument(
                    code: "http_404", errorClass: "http", message: "not found", retryable: false))
        #expect(job.wait == nil, "an ended job waits for nothing")
        #expect(job.job == "00000000000000ab")
    }

    @Test(arguments: [
        "1970-01-01T00:00:00.000Z", "2000-02-29T23:59:59.999Z", "2026-11-22T10:00:00.123Z",
        "9999-12-31T23:59:59.999Z",
    ])
    func `a time is read back to the same text`(text: String) throws {
        #expect(try #require(Timestamp(text)).description == text)
    }

    @Test(arguments: [
        "", "2026-11-22", "2026-11-22T10:00:00Z", "2026-11-22T10:00:00.123z", "2026-13-22T10:00:00.123Z",
        "2026-11-22T10:00:00,123Z", "+026-11-22T10:00:00.123Z", "２026-11-22T10:00:00.1Z",
    ])
    func `what is no time is none`(text: String) {
        #expect(Timestamp(text) == nil)
    }

    @Test func `a list is named by id or by file name`() {
        #expect(ListReference("4711") == .id(ListID(4711)))
        #expect(ListReference("4711.txt") == .name("4711.txt"))
        for text in ["", ".", "..", "a/b", "0", "99999999999999999999", String(repeating: "x", count: 256)] {
            #expect(ListReference(text) == nil, "\(text)")
        }
    }

    @Test func `metrics are well-formed and complete`() throws {
        let text = PrometheusText.write(Samples.metrics())
        var family = ""
        var types: [String: String] = [:]
        for line in text.split(separator: "\n", omittingEmptySubsequences: false).dropLast() {
            let words = line.split(separator: " ", maxSplits: 3).map { String($0) }
            if line.hasPrefix("# HELP ") {
                #expect(words.count == 4 && !words[3].isEmpty)
                family = words[2]
                #expect(types[family] == nil, "\(family) twice")
            } else if line.hasPrefix("# TYPE ") {
                #expect(words[2] == family)
                types[family] = words[3]
            } else {
                #expect(line.hasPrefix(family), "\(line)")
                #expect(family.hasPrefix("dld_"))
                let value = try #require(line.split(separator: " ").last)
                #expect(Double(value) != nil, "\(line)")
                if types[family] == "counter" { #expect(family.hasSuffix("_total")) }
            }
        }
        #expect(text.hasSuffix("\n"))
        #expect(types["dld_first_byte_seconds"] == "histogram")
        for line in [
            #"dld_build_info{version="0.1.0"} 1"#, #"dld_jobs{state="queued"} 7"#,
            #"dld_errors_total{code="http_404"} 3"#,
            "dld_fetched_bytes_total 123456789012", #"dld_first_byte_seconds_bucket{le="0.025"} 0"#,
            #"dld_first_byte_seconds_bucket{le="0.05"} 1"#, #"dld_first_byte_seconds_bucket{le="60"} 1"#,
            #"dld_first_byte_seconds_bucket{le="+Inf"} 2"#, "dld_first_byte_seconds_count 2",
            "dld_job_total_seconds_sum 5",
        ] {
            #expect(text.contains(line + "\n"), "\(line)")
        }
    }

    @Test func `a label's value cannot break its line`() {
        var metrics = MetricsDocument()
        metrics.version = "a\"b\\c\nd"
        #expect(PrometheusText.write(metrics).contains(#"dld_build_info{version="a\"b\\c\nd"} 1"# + "\n"))
        #expect(
            String(decoding: MetricsView.json(Array(PrometheusText.write(metrics).utf8)), as: UTF8.self)
                .contains(
                    #"{"labels":{"version":"a\"b\\c\nd"},"name":"dld_build_info","value":1}"#))
    }

    @Test func `a histogram counts what is odd without trapping`() {
        var histogram = Histogram(bounds: [1, 2])
        for value in [-1, 0, 1, 1.5, 2, 3, Double.infinity, Double.nan] { histogram.observe(value) }
        #expect(histogram.counts == [3, 2, 1])
        #expect(histogram.count == 6)
        #expect(histogram.sum == 7.5)
    }
}
