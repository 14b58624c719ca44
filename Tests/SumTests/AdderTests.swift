// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

@testable import SumWorker

/// The closed form, which the product must not use: (from + to) * terms / 2. One factor is even.
func closedForm(_ range: SumRange) -> UInt128 {
    let ends = UInt128(range.from) + UInt128(range.to)
    return ends % 2 == 0 ? ends / 2 * range.terms : range.terms / 2 * ends
}

struct AdderTests {
    static let top = UInt64.max
    static let ranges: [(UInt64, UInt64)] = [
        (0, 0), (0, 1), (0, 7), (0, 8), (1, 8), (3, 100), (0, 1_000_000), (999_999, 1_000_003),
        ((1 << 32) - 3, (1 << 32) + 5), ((1 << 39) - 20, (1 << 39) - 1), ((1 << 39) - 20, 1 << 39),
        (1 << 39, (1 << 39) + 77), ((1 << 63) - 9, (1 << 63) + 9), (top, top), (top - 7, top), (top - 8, top),
        (top - 100_003, top), (top - 100_003, top - 1),
    ]

    @Test(arguments: ranges)
    func `the total is the closed form's`(from: UInt64, to: UInt64) {
        let range = SumRange(from: from, to: to)
        #expect(Adder.total(range) == closedForm(range))
    }

    @Test func `any small range adds up, wherever it lies`() {
        var generator = SplitMix(state: 4711)
        for _ in 0..<500 {
            let from = generator.next() >> (generator.next() % 64)
            let length = generator.next() % 3000
            let (to, overflow) = from.addingReportingOverflow(length)
            let range = SumRange(from: from, to: overflow ? .max : to)
            #expect(Adder.total(range) == closedForm(range))
        }
    }

    @Test func `a range longer than a block adds up`() {
        let range = SumRange(from: 5, to: (1 << 28) + 17)
        #expect(Adder.total(range) == closedForm(range))
    }
}

/// A small generator with a fixed start: the same numbers in every run.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
