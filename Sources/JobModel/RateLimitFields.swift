// SPDX-License-Identifier: Apache-2.0

import RawStructuredFieldValues

/// The RateLimit fields of an answer: what the server says is left of its quota, and when it is filled again.
///
/// Three dialects: `RateLimit: "policy";r=0;t=30` (draft-ietf-httpapi-ratelimit-headers, a structured list),
/// `RateLimit-Remaining` and `RateLimit-Reset` (its earlier form, seconds), and `X-RateLimit-...` (seconds or
/// the time since 1970). Read strictly; what is anything else counts as not given.
public struct RateLimitFields: Sendable, Hashable {
    public enum Name: Sendable, Hashable {
        case current, remaining, reset, oldRemaining, oldReset
    }
    private var fields: [Name: String] = [:]

    public init() {}

    public var isEmpty: Bool { fields.isEmpty }

    /// The first of a name stays.
    public mutating func take(_ name: Name, _ value: String) {
        if fields[name] == nil { fields[name] = value }
    }

    /// What is left of one quota.
    struct Quota: Hashable {
        var remaining: Int64
        var reset: Duration?
    }

    /// How long to wait after an answer that refused: until the latest reset of the quotas that are used up, or of
    /// all where none says that it is. At most an hour; nil where nothing usable is said.
    public func waitAfterRefusal(now: WallTime) -> Duration? {
        let quotas = quotas(now: now)
        let spent = quotas.filter { $0.remaining == 0 }
        return (spent.isEmpty ? quotas : spent).compactMap(\.reset).max()
    }

    /// How long to wait after an answer that served and used up the last of a quota. At most an hour.
    public func waitAfterService(now: WallTime) -> Duration? {
        guard !fields.isEmpty else { return nil }
        return quotas(now: now).filter { $0.remaining == 0 }.compactMap(\.reset).max()
    }

    private func quotas(now: WallTime) -> [Quota] {
        if let text = fields[.current] { return Self.list(text) ?? [] }
        var quotas: [Quota] = []
        if let reset = fields[.reset] {
            quotas.append(quota(remaining: fields[.remaining], reset: Self.seconds(reset)))
        }
        if let reset = fields[.oldReset] {
            quotas.append(quota(remaining: fields[.oldRemaining], reset: Self.moment(reset, now: now)))
        }
        return quotas
    }

    private func quota(remaining: String?, reset: Duration?) -> Quota {
        Quota(remaining: remaining.flatMap { Self.number($0) } ?? 1, reset: reset)
    }

    private static func number(_ text: String) -> Int64? {
        let bytes = HTTPText.trimmed(Array(text.utf8))
        guard bytes.count <= 15 else { return nil }
        return HTTPText.number(bytes)
    }

    private static func seconds(_ text: String) -> Duration? { number(text).flatMap { clamped(seconds: $0) } }

    private static func clamped(seconds: Int64) -> Duration? {
        seconds > 0 ? min(RetryPolicy.longestRetryAfter, .seconds(min(seconds, 86_400))) : nil
    }

    /// From 2001 on a number is a time since 1970: nobody's quota takes 30 years. In milliseconds from 1973 on.
    private static func moment(_ text: String, now: WallTime) -> Duration? {
        guard let number = number(text) else { return nil }
        guard number >= 1_000_000_000 else { return clamped(seconds: number) }
        let milliseconds = number >= 100_000_000_000 ? number : number * 1000
        let (left, overflow) = milliseconds.subtractingReportingOverflow(now.rawValue)
        guard !overflow, left > 0 else { return nil }
        return min(RetryPolicy.longestRetryAfter, .milliseconds(left))
    }
}

// The structured form: a list of items, each a policy with the integer parameters `r` (what is left) and `t` (seconds
// until the reset). Everything else in it is passed over.
extension RateLimitFields {
    /// nil: no list of RFC 9651, or too long to be looked at.
    static func list(_ text: String) -> [Quota]? {
        guard !text.isEmpty, text.utf8.count <= 1024 else { return nil }
        var parser = StructuredFieldValueParser(Array(text.utf8))
        guard let members = try? parser.parseListFieldValue() else { return nil }  // no such list
        return members.compactMap { member in
            // Without a count the item says nothing.
            guard case .item(let item) = member, case .integer(let left)? = item.rfc9651Parameters["r"],
                left >= 0
            else { return nil }
            var reset: Duration?
            if case .integer(let seconds)? = item.rfc9651Parameters["t"] { reset = clamped(seconds: seconds) }
            return Quota(remaining: left, reset: reset)
        }
    }
}
