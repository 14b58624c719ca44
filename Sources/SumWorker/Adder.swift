// SPDX-License-Identifier: Apache-2.0

import JobModel

/// Adds every integer of a range, term by term.
///
/// The terms are explicit vectors on purpose. Over a plain integer loop LLVM's scalar evolution sees a polynomial and
/// puts the closed form in its place, and the process would be busy for no time at all; it does not look into
/// vectors. The total is exact for every pair of 64-bit bounds: 128 bits hold 2^64 terms below 2^64.
enum Adder {
    /// Above this a lane could overflow: a block has 2^28 terms, a lane 2^25 of them, and 2^25 * 2^39 is 2^64.
    private static let narrowLimit: UInt64 = 1 << 39
    private static let blockTerms: UInt64 = 1 << 28

    static func total(_ range: SumRange) -> UInt128 {
        var total: UInt128 = 0
        var next = range.from
        while true {
            let rest = range.to - next
            let last = rest < blockTerms ? range.to : next + (blockTerms - 1)
            total += block(from: next, to: last)
            if last == range.to { return total }
            next = last + 1
        }
    }

    /// At most `blockTerms` terms.
    private static func block(from: UInt64, to: UInt64) -> UInt128 {
        // to - from + 1 is at most 2^28: no overflow.
        let count = to - from + 1
        let steps = count / 8
        var total: UInt128 = 0
        if steps > 0 { total = to < narrowLimit ? narrow(from, steps) : wide(from, steps) }
        if steps * 8 == count { return total }
        var term = from + steps * 8
        while true {
            total += UInt128(term)
            // Compared before stepping on: the term after 2^64 - 1 does not exist.
            if term == to { return total }
            term += 1
        }
    }

    private static func firstTerms(_ from: UInt64) -> SIMD8<UInt64> {
        SIMD8(repeating: from) &+ SIMD8(0, 1, 2, 3, 4, 5, 6, 7)
    }

    /// `8 * steps` terms that are all below `narrowLimit`: one addition a term.
    private static func narrow(_ from: UInt64, _ steps: UInt64) -> UInt128 {
        var terms = firstTerms(from)
        let stride = SIMD8<UInt64>(repeating: 8)
        var lanes = SIMD8<UInt64>(repeating: 0)
        var step: UInt64 = 0
        while step < steps {
            lanes = lanes &+ terms
            terms = terms &+ stride
            step &+= 1
        }
        return sum(of: lanes)
    }

    /// `8 * steps` terms of any size: their halves are added apart, so that no lane can overflow.
    private static func wide(_ from: UInt64, _ steps: UInt64) -> UInt128 {
        var terms = firstTerms(from)
        let stride = SIMD8<UInt64>(repeating: 8)
        let lowHalf = SIMD8<UInt64>(repeating: 0xFFFF_FFFF)
        let shift = SIMD8<UInt64>(repeating: 32)
        var low = SIMD8<UInt64>(repeating: 0)
        var high = SIMD8<UInt64>(repeating: 0)
        var step: UInt64 = 0
        while step < steps {
            low = low &+ (terms & lowHalf)
            high = high &+ (terms &>> shift)
            // Wraps only after the last step, when `terms` is not used again.
            terms = terms &+ stride
            step &+= 1
        }
        return sum(of: low) + sum(of: high) << 32
    }

    private static func sum(of lanes: SIMD8<UInt64>) -> UInt128 {
        var total: UInt128 = 0
        for lane in 0..<8 { total += UInt128(lanes[lane]) }
        return total
    }
}
