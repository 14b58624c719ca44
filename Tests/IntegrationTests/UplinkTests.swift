// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import TestKit
import Testing

/// Network namespaces with a cable between them: root only.
private enum Namespaces {
    static let areThere: Bool = {
        let run = try? ProgramRun.run("/usr/bin/unshare", ["--net", "/bin/true"])  // try?: not permitted
        return run?.status == 0
    }()
}

@Suite(.serialized, .enabled(if: Namespaces.areThere, "needs root and network namespaces"))
struct UplinkTests {
    /// `scripts/uplink-cut` checks by itself: all done, one attempt each, and what `dlctl status` said meanwhile.
    private func cut(_ arguments: String...) throws -> ProgramRun {
        let script = #filePath.components(separatedBy: "/Tests/")[0] + "/scripts/uplink-cut"
        return try ProgramRun.run(
            ProgramRun.find("python3"),
            [
                script, "--build", BuildProducts.directory, "--hosts", "40", "--stay", "1", "--log",
                "--stall", "5s",
            ] + arguments,
            within: .seconds(180))
    }

    @Test func `a link that goes down in the middle of a list costs nobody an attempt`() throws {
        let run = try cut("--cut", "route")
        #expect(run.status == 0, "\(run.transcript)")
    }

    @Test func `silence from everywhere costs nobody an attempt, not even who has one only`() throws {
        let run = try cut("--cut", "silence", "--down-after", "3s", "--connect", "3s", "--tries", "1")
        #expect(run.status == 0, "\(run.transcript)")
    }

    @Test func `a resolver that goes silent costs nobody an attempt`() throws {
        let run = try cut("--cut", "names", "--down-after", "3s", "--connect", "3s")
        #expect(run.status == 0, "\(run.transcript)")
    }

    @Test func `a resolver that hangs does not hold up who needs none`() throws {
        let run = try cut("--cut", "never", "--connect", "1s")
        #expect(run.status == 0, "\(run.transcript)")
    }
}
