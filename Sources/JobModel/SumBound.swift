// SPDX-License-Identifier: Apache-2.0

/// The grammar of sum jobs: `sum:N` (0 up to N) and `sum:LOW..HIGH` (both ends included).
///
/// Bounds are ASCII digits and nothing else: no sign, space, underscore, exponent, radix prefix, other
/// script or leading zero (`010` is eight to some readers). Unsigned 64 bits; never traps, wraps or rounds.
public enum SumBound {
    /// `sum.max_terms` when the config says nothing.
    public static let defaultMaxTerms: UInt128 = 10_000_000_000_000

    /// Reads an entry with its `sum:`. Fails with `bad_number` or `bad_range`. Any thread.
    public static func parse(
        _ text: String, maxTerms: UInt128 = defaultMaxTerms
    ) -> Result<SumRange, JobError> {
        guard text.utf8.starts(with: "sum:".utf8) else {
            return .failure(JobError(.badNumber, "\(shown(text)) does not begin with sum:"))
        }
        return range(String(decoding: text.utf8.dropFirst(4), as: UTF8.self), maxTerms: maxTerms)
    }

    /// Reads `N` or `LOW..HIGH`.
    public static func range(
        _ text: String, maxTerms: UInt128 = defaultMaxTerms
    ) -> Result<SumRange, JobError> {
        let bytes = Array(text.utf8)
        let dots = bytes.indices.first {
            bytes[$0] == UInt8(ascii: ".") && $0 + 1 < bytes.count && bytes[$0 + 1] == UInt8(ascii: ".")
        }
        let low: Result<UInt64, JobError>
        let high: Result<UInt64, JobError>
        if let dots {
            low = bound(bytes[..<dots])
            high = bound(bytes[(dots + 2)...])
        } else {
            low = .success(0)
            high = bound(bytes[...])
        }
        return low.flatMap { low in high.flatMap { range(from: low, to: $0, maxTerms: maxTerms) } }
    }

    /// The range from bounds that are numbers already (JSON Lines).
    public static func range(
        from: UInt64, to: UInt64, maxTerms: UInt128 = defaultMaxTerms
    ) -> Result<SumRange, JobError> {
        guard from <= to else {
            return .failure(JobError(.badRange, "\(from)..\(to) runs downwards; expected LOW..HIGH"))
        }
        let range = SumRange(from: from, to: to)
        guard range.terms <= maxTerms else {
            return .failure(
                JobError(.badRange, "\(from)..\(to) has \(range.terms) terms; sum.max_terms is \(maxTerms)"))
        }
        return .success(range)
    }

    /// One bound.
    public static func bound(_ text: String) -> Result<UInt64, JobError> { bound(Array(text.utf8)[...]) }

    private static func bound(_ bytes: ArraySlice<UInt8>) -> Result<UInt64, JobError> {
        let text = shown(String(decoding: bytes, as: UTF8.self))
        guard !bytes.isEmpty, bytes.allSatisfy({ UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }) else {
            return .failure(JobError(.badNumber, "\(text) is no number; expected digits 0-9 only"))
        }
        guard bytes.count == 1 || bytes.first != UInt8(ascii: "0") else {
            return .failure(JobError(.badNumber, "\(text) has leading zeros"))
        }
        // UInt64 answers nil on overflow, at any length.
        guard let value = UInt64(String(decoding: bytes, as: UTF8.self)) else {
            return .failure(JobError(.badNumber, "\(text) is above 18446744073709551615 (2^64 - 1)"))
        }
        return .success(value)
    }

    private static func shown(_ text: String) -> String {
        let escaped = Masking.text(text)
        return escaped.count > 40 ? "\"\(escaped.prefix(40))...\"" : "\"\(escaped)\""
    }
}
