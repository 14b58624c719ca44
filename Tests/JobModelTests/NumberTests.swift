// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

/// Everything that reads a number from outside.
struct NumberTests {
    @Test(
        arguments: [
            ("bytes 0-0/1", 0, 0, 1), ("bytes 5-9/10", 5, 9, 10), ("BYTES 0-1/*", 0, 1, nil),
            (" bytes 0-1/2 ", 0, 1, 2),
            ("bytes 0-9223372036854775806/9223372036854775807", 0, .max - 1, .max),
        ] as [(String, Int64, Int64, Int64?)])
    func `a Content-Range is read`(field: String, first: Int64, last: Int64, total: Int64?) throws {
        let range = try #require(ContentRange(field))
        #expect(
            range.first == first && range.last == last && range.total == total
                && range.count == last - first + 1)
    }

    @Test(arguments: [
        "", "bytes", "bytes ", "bytes */10", "bytes 0-1", "bytes 1-0/10", "bytes 0-10/10", "bytes 0-1/0",
        "bytes -1-2/10", "bytes 0--1/10",
        "bytes +0-1/10", "bytes 0-1/10/", "bytes 0-1-2/10", "bytes=0-1/10", "items 0-1/10", "bytes  0-1/10",
        "bytes 0 -1/10", "bytes 0-1/ 10",
        "bytes 0-9223372036854775807/*", "bytes 0-9223372036854775808/*", "bytes 0-1/99999999999999999999",
        "bytes 0x0-1/10", "bytes ٠-١/٢",
        "bytes 0-1/10, bytes 2-3/10", "bytes\t0-1/10", "bytes 0-1/", String(repeating: "9", count: 10_000),
    ])
    func `what is no Content-Range is none`(field: String) {
        #expect(ContentRange(field) == nil)
    }

    @Test(
        arguments: [
            ("bytes */10", 10), ("bytes */0", 0), ("bytes */*", nil), ("bytes 0-1/2", nil), ("", nil),
            ("bytes */-1", nil),
        ] as [(String, Int64?)])
    func `the total of a 416`(field: String, total: Int64?) {
        #expect(ContentRange.unsatisfiedTotal(field) == total)
    }

    @Test(
        arguments: [
            ([], nil), (["0"], 0), (["10", "10"], 10), (["10, 10"], 10), ([" 10 "], 10),
            (["9223372036854775807"], .max), (["010"], 10),
        ] as [([String], Int64?)])
    func `Content-Length is read`(fields: [String], length: Int64?) throws {
        #expect(try ContentLength.parse(fields) == length)
    }

    @Test(arguments: [
        [""], ["-8"], ["+8"], ["9223372036854775808"], ["18446744073709551616"], ["1", "2"], ["1, 2"], ["1,"],
        ["1.0"], ["0x1"], ["1 2"], ["abc"],
        ["١"], ["1", ""], [String(repeating: "9", count: 9000)],
    ])
    func `a Content-Length that is none fails the job`(fields: [String]) {
        #expect { _ = try ContentLength.parse(fields) } throws: { ($0 as? JobError)?.code == .badLength }
    }

    @Test(
        arguments: [
            ("0", 0), ("123", 123), ("64KiB", 65_536), ("1MiB", 1 << 20), ("1 MiB", 1 << 20),
            ("10GB", 10_000_000_000), ("1.5gib", 1_610_612_736),
            ("0.001KB", 1), ("5b", 5), ("8PiB", 8 << 50), ("9223372036854775807", .max),
            ("", nil), (" ", nil), ("MiB", nil), ("1M", nil), ("1K", nil), ("-1", nil), ("+1", nil),
            ("1.5", nil), ("1.MiB", nil), (".5MiB", nil), ("1.2.3MiB", nil),
            ("1.0001MiB", nil), ("1  MiB", nil), ("1 ", nil), ("1e3", nil), ("0x10", nil),
            ("9223372036854775808", nil), ("9999999PiB", nil), ("1MiB/s", nil), ("١MiB", nil),
        ] as [(String, Int64?)])
    func `sizes with units`(text: String, bytes: Int64?) {
        #expect(ByteSize.parse(text) == bytes)
    }

    @Test(
        arguments: [
            ("0", 0), ("10K", 10_240), ("1m", 1 << 20), ("5", 5), ("", nil), ("K", nil), ("1G", nil),
            ("-1", nil), ("1.5M", nil), ("9999999999999999M", nil),
        ] as [(String, Int64?)])
    func `aria2's sizes`(text: String, bytes: Int64?) {
        #expect(ByteSize.parseAria2(text) == bytes)
    }

    @Test(
        arguments: [
            (0, "0 B", "0"), (1023, "1023 B", "1023"), (1024, "1.0 KiB", "1KiB"), (1536, "1.5 KiB", "1536"),
            (1_048_575, "1.0 MiB", "1048575"),
            (5 << 30, "5.0 GiB", "5GiB"), (.max, "8.0 EiB", "9223372036854775807"),
            (.min, "-8.0 EiB", "-9223372036854775808"),
        ] as [(Int64, String, String)])
    func `sizes for people and for the config`(bytes: Int64, shown: String, exact: String) {
        #expect(ByteSize.format(bytes) == shown)
        #expect(ByteSize.exact(bytes) == exact)
        if bytes >= 0 { #expect(ByteSize.parse(exact) == bytes) }
    }

    @Test(
        arguments: [
            ("30s", 30_000), ("5m", 300_000), ("1h30m", 5_400_000), ("250ms", 250), ("7d", 604_800_000),
            ("1w", 604_800_000), ("0s", 0), ("1.5s", 1500),
            ("1m2s3ms", 62_003),
            ("", nil), ("30", nil), ("s", nil), ("-1s", nil), ("1s1s", nil), ("1s1m", nil), ("1.5m", nil),
            ("1.2345s", nil), ("1 s", nil), ("1S", nil), ("1y", nil),
            ("1..5s", nil), ("999999999999999999999s", nil), ("999999999999999d", nil), ("36525001d", nil),
            ("١s", nil), ("5m ", nil), ("1e3s", nil),
        ] as [(String, Int64?)])
    func `durations with units`(text: String, milliseconds: Int64?) {
        #expect(DurationText.parse(text) == milliseconds.map { .milliseconds($0) })
    }

    @Test(arguments: ["30s", "5m", "1h30m", "250ms", "7d", "0s", "1d2h3m4s5ms"])
    func `durations are written as they are read`(text: String) throws {
        #expect(DurationText.format(try #require(DurationText.parse(text))) == text)
    }

    @Test(
        arguments: [("10MiB/s", 10 << 20), ("10MiB", 10 << 20), ("5", 5), ("/s", nil), ("10MiB/m", nil)]
            as [(String, Int64?)])
    func `rates with and without their second`(text: String, bytes: Int64?) {
        #expect(ByteSize.parseRate(text) == bytes)
    }

    @Test func `odd durations are written`() {
        #expect(DurationText.format(.seconds(-1)) == "0s")
        _ = DurationText.format(.seconds(Int64.max))
    }

    @Test(
        arguments: [
            ("sum:0", 0, 0), ("sum:100", 0, 100), ("sum:5..5", 5, 5),
            ("sum:0..9999999999999", 0, 9_999_999_999_999),
            ("sum:9223372036854775808..9223372036854775809", 1 << 63, (1 << 63) + 1),
            ("sum:18446744073709551615..18446744073709551615", .max, .max),
        ] as [(String, UInt64, UInt64)])
    func `sums are read`(text: String, from: UInt64, to: UInt64) throws {
        #expect(try SumBound.parse(text).get() == SumRange(from: from, to: to))
    }

    @Test(arguments: [
        ("sum:", ErrorCode.badNumber), ("sum:-1", .badNumber), ("sum:+5", .badNumber),
        ("sum:007", .badNumber), ("sum: 5 ", .badNumber),
        ("sum:1e3", .badNumber), ("sum:0x10", .badNumber), ("sum:١٢", .badNumber),
        ("sum:18446744073709551616", .badNumber),
        ("sum:" + String(repeating: "9", count: 400), .badNumber), ("sum:NaN", .badNumber),
        ("sum:1.5", .badNumber), ("sum:1..", .badNumber),
        ("sum:..1", .badNumber), ("sum:1..2..3", .badNumber), ("sum:1...2", .badNumber),
        ("sum:1_000", .badNumber), ("sum:1,000", .badNumber),
        ("sum:1\0", .badNumber), ("SUM:1", .badNumber), ("", .badNumber), ("sum:5..4", .badRange),
        ("sum:10000000000000", .badRange),
        ("sum:0..18446744073709551615", .badRange),
    ])
    func `what is no sum is a bad line`(text: String, code: ErrorCode) {
        #expect { _ = try SumBound.parse(text).get() } throws: { ($0 as? JobError)?.code == code }
    }

    @Test func `the full range of a sum has 2^64 terms`() throws {
        let range = try SumBound.range("0..18446744073709551615", maxTerms: .max).get()
        #expect(range.terms == UInt128(1) << 64)
    }

    private func time(_ milliseconds: Int64) -> MonotonicTime {
        MonotonicTime(nanoseconds: milliseconds * 1_000_000)
    }

    @Test func `a bucket lets its burst through and then its rate`() {
        var bucket = TokenBucket(rate: 10, burst: 5, now: time(0))
        for _ in 0..<5 { #expect(bucket.take(1, now: time(0)) == nil) }
        #expect(bucket.delay(for: 1, now: time(0)) == .milliseconds(100))
        #expect(bucket.take(1, now: time(0)) == .milliseconds(100))
        #expect(bucket.take(1, now: time(99)) == .milliseconds(1))
        #expect(bucket.take(1, now: time(100)) == nil)
        #expect(bucket.take(6, now: time(10_000)) == nil)
        #expect(bucket.take(1, now: time(10_000)) == .milliseconds(200))
    }

    @Test func `bytes that came already leave a debt`() {
        var bucket = TokenBucket(rate: 1000, burst: 1000, now: time(0))
        #expect(bucket.charge(1000, now: time(0)) == nil)
        #expect(bucket.charge(500, now: time(0)) == .milliseconds(500))
        #expect(bucket.charge(0, now: time(250)) == .milliseconds(250))
        #expect(bucket.charge(0, now: time(500)) == nil)
    }

    @Test func `over a long run a bucket gives exactly its rate`() {
        var bucket = TokenBucket(rate: 7, burst: 1, now: time(0))
        var now: Int64 = 0
        var taken = 0
        while now < 1_000_000_000_000 {
            if let wait = bucket.take(1, now: MonotonicTime(nanoseconds: now)) {
                now += wait.nanosecondsClamped
            } else {
                taken += 1
            }
        }
        #expect(taken == 7000)
    }

    @Test func `odd numbers do no harm to a bucket`() {
        var bucket = TokenBucket(rate: .min, burst: .min, now: time(0))
        #expect(bucket.rate == 1 && bucket.burst == 1)
        #expect(bucket.take(-5, now: time(-100)) == nil)
        #expect(bucket.charge(.max, now: .distantFuture) != nil)
        #expect(bucket.take(1, now: MonotonicTime(nanoseconds: .min)) != nil)
        bucket.change(rate: .max, burst: .max, now: .distantFuture)
        _ = bucket.charge(.max, now: .distantFuture)
        _ = bucket.charge(.max, now: .distantFuture)
    }
}
