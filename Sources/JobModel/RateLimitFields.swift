// SPDX-License-Identifier: Apache-2.0

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

// The structured form: a list of items (a quoted policy name or a token) with integer parameters `r` and `t`;
// other parameters are passed over. RFC 9651, no more of it than this field uses.
extension RateLimitFields {
    /// nil: no such list.
    static func list(_ text: String) -> [Quota]? {
        let bytes = HTTPText.trimmed(Array(text.utf8))
        guard !bytes.isEmpty, bytes.count <= 1024 else { return nil }
        var reader = Reader(bytes: bytes)
        var quotas: [Quota] = []
        repeat {
            reader.skipSpace()
            guard reader.skipName(), let parameters = reader.parameters() else { return nil }
            // Without a count the item says nothing.
            if let remaining = parameters["r"] {
                let reset = parameters["t"].flatMap { clamped(seconds: $0) }
                quotas.append(Quota(remaining: max(0, remaining), reset: reset))
            }
            reader.skipSpace()
        } while reader.take(UInt8(ascii: ","))
        return reader.isAtEnd ? quotas : nil
    }

    private struct Reader {
        let bytes: [UInt8]
        var at = 0

        var isAtEnd: Bool { at == bytes.count }
        private var next: UInt8? { at < bytes.count ? bytes[at] : nil }

        mutating func take(_ byte: UInt8) -> Bool {
            guard next == byte else { return false }
            at += 1
            return true
        }

        mutating func skipSpace() { while take(UInt8(ascii: " ")) || take(UInt8(ascii: "\t")) {} }

        /// A quoted string or a token.
        mutating func skipName() -> Bool {
            guard take(UInt8(ascii: "\"")) else { return !word().isEmpty }
            while let byte = next {
                at += 1
                switch byte {
                case UInt8(ascii: "\""): return true
                case UInt8(ascii: "\\"): at += 1
                case 0x20...0x7E: break
                default: return false
                }
            }
            return false
        }

        private mutating func word() -> ArraySlice<UInt8> {
            let start = at
            while let byte = next, Self.isWord(byte) { at += 1 }
            return bytes[start..<at]
        }

        private static func isWord(_ byte: UInt8) -> Bool {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"),
                UInt8(ascii: "."), UInt8(ascii: "*"), UInt8(ascii: "/"), UInt8(ascii: ":"):
                true
            default: false
            }
        }

        /// `;name=value` as often as it comes. Integers are kept, the last of a name wins.
        mutating func parameters() -> [String: Int64]? {
            var found: [String: Int64] = [:]
            while take(UInt8(ascii: ";")) {
                skipSpace()
                let name = String(decoding: word(), as: UTF8.self)
                guard !name.isEmpty else { return nil }
                guard take(UInt8(ascii: "=")) else { continue }
                let start = at
                if next == UInt8(ascii: "\"") || next == UInt8(ascii: ":") {
                    guard skipQuoted() else { return nil }
                } else {
                    guard !word().isEmpty else { return nil }
                    let digits = bytes[start..<at]
                    if digits.count <= 15, let number = HTTPText.number(digits) { found[name] = number }
                }
            }
            return found
        }

        /// A string, or bytes between colons.
        private mutating func skipQuoted() -> Bool {
            if next == UInt8(ascii: "\"") { return skipName() }
            at += 1
            while let byte = next {
                at += 1
                if byte == UInt8(ascii: ":") { return true }
            }
            return false
        }
    }
}
