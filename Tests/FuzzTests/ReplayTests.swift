// SPDX-License-Identifier: Apache-2.0

import Glibc
import TestKit
import Testing

/// What `make fuzz` kept, once more in every test run: so the targets compile with the parsers that they are about, and
/// what was found stays mended. A property that does not hold ends the process with its sentence, as in the fuzzer.
@Suite struct ReplayTests {
    @Test(arguments: targets.keys.sorted())
    func `every kept input of a fuzz target goes through its parser`(name: String) throws {
        let target = try #require(targets[name])
        var inputs: [[UInt8]] = [[], [0], Array("a\n".utf8), Array(repeating: 0xFF, count: 4096)]
        let folder = Self.corpus + "/" + name
        let kept = FileTree.names(folder)
        #expect(!kept.isEmpty, "make fuzz, then scripts/fuzz --keep")
        inputs += try kept.map { try FileTree.read(folder + "/" + $0) }
        for input in inputs { target(input) }
    }

    private static let corpus =
        #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast()
        .joined(separator: "/") + "/corpus"
}
