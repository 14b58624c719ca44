// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

@Suite struct RateLimitFieldsTests {
    /// 2026-11-22 10:00:00 UTC.
    private let now = WallTime(milliseconds: 1_795_341_600_000)

    private func fields(_ given: [(RateLimitFields.Name, String)]) -> RateLimitFields {
        var fields = RateLimitFields()
        for (name, value) in given { fields.take(name, value) }
        return fields
    }

    @Test(
        arguments: [
            (#""default";r=0;t=30"#, 30), (#""default";r=50;t=30"#, nil), ("default;r=0;t=7", 7),
            (#""a";r=5;t=1, "b";r=0;t=9 , "c";r=0;t=4"#, 9), (#""a";r=0"#, nil), (#""a";t=9"#, nil),
            (#""a";r=0;t=999999"#, 3600), (#""a";r=0;t=99999999999999999999"#, nil),
            (#""a";r=0;t=-5"#, nil), (#""a";r=0;t=1.5"#, nil), (#""a;r=0;t=5"#, nil), (#""a\";r=0;t=5"#, nil),
            (#""a";r=0;t=5;pk=:c2VjcmV0:"#, 5), (#""a";w;r=0;q="x;t=1";t=5"#, 5), (#""a";r=0;t=5,"#, nil),
            (#""a" r=0"#, nil), ("", nil), (";r=0;t=1", nil), ("limit=100, remaining=0, reset=5", nil),
            (#""é";r=0;t=5"#, nil), (#""a";r=0;t=5 x"#, nil), (#""a";r=-1;t=5"#, nil),
            (#""a\"#, nil), (String(repeating: #""a";r=0;t=5,"#, count: 500), nil),
        ] as [(String, Int64?)])
    func `the structured field is read strictly`(field: String, seconds: Int64?) {
        #expect(fields([(.current, field)]).waitAfterService(now: now) == seconds.map { .seconds($0) })
    }

    @Test(
        arguments: [
            ("0", "30", 30), ("1", "30", nil), ("0", "abc", nil), ("", "30", nil), ("0", "-1", nil),
            ("0", "0", nil), ("0", " 5 ", 5), ("0", "99999999999999999", nil), ("0", "7200", 3600),
        ] as [(String, String, Int64?)])
    func `the earlier fields are seconds`(remaining: String, reset: String, seconds: Int64?) {
        let given = fields([(.remaining, remaining), (.reset, reset)])
        #expect(given.waitAfterService(now: now) == seconds.map { .seconds($0) })
    }

    @Test(
        arguments: [
            ("30", 30), ("1795341660", 60), ("1795341660000", 60), ("1795341600", nil), ("1795341000", nil),
            ("9999999999", 3600), ("999999999999999", 3600), ("1e9", nil),
        ] as [(String, Int64?)])
    func `an X-RateLimit-Reset is seconds or a time`(reset: String, seconds: Int64?) {
        let given = fields([(.oldRemaining, "0"), (.oldReset, reset)])
        #expect(given.waitAfterService(now: now) == seconds.map { .seconds($0) })
        _ = given.waitAfterService(now: WallTime(milliseconds: .min))
        _ = given.waitAfterService(now: WallTime(milliseconds: .max))
    }

    @Test func `a refusal heeds the reset whatever remains, and one that is used up first`() {
        #expect(fields([(.reset, "9")]).waitAfterRefusal(now: now) == .seconds(9))
        #expect(fields([(.oldRemaining, "3"), (.oldReset, "9")]).waitAfterRefusal(now: now) == .seconds(9))
        let two = fields([(.current, #""hour";r=40;t=900, "second";r=0;t=2"#)])
        #expect(two.waitAfterRefusal(now: now) == .seconds(2))
        #expect(fields([]).waitAfterRefusal(now: now) == nil)
        #expect(fields([(.remaining, "0")]).waitAfterService(now: now) == nil)
    }
}
