// SPDX-License-Identifier: Apache-2.0

import Glibc

// One program for all targets: `DLD_FUZZ_TARGET` names the one to run. Built and run by scripts/fuzz.

private let target: @Sendable ([UInt8]) -> Void = {
    let name = getenv("DLD_FUZZ_TARGET").map { String(cString: $0) } ?? ""
    guard let target = targets[name] else {
        fatalError("DLD_FUZZ_TARGET is one of \(targets.keys.sorted().joined(separator: " "))")
    }
    return target
}()

@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    target(Array(UnsafeBufferPointer(start: start, count: count)))
    return 0
}
