// SPDX-License-Identifier: Apache-2.0

/// What must hold for every input; a breach stops the fuzzer with the input kept.
func expect(_ condition: Bool, _ what: @autoclosure () -> String) {
    if !condition { fatalError("does not hold: \(what())") }
}

/// The input's lines, for targets with more than one text in.
func lines(_ input: [UInt8]) -> [[UInt8]] {
    input.split(separator: 10, omittingEmptySubsequences: false).map { Array($0) }
}
func text(_ input: [UInt8]) -> String { String(decoding: input, as: UTF8.self) }
