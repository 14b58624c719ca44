// SPDX-License-Identifier: Apache-2.0

import JobModel
import LinuxKit
import Locking
import Spool
import TestKit
import Testing

/// Reading lists of digests, as the spool's thread does it.
@Suite struct DigestDeskTests {
    private let id = DigestListID(rawValue: 5)
    private let zeros = String(repeating: "0", count: 64)

    private func read(
        _ text: String, limit: Int64? = nil, named name: String = "SHA256SUMS"
    ) throws -> (
        lines: [DigestBatch.Line], result: Result<Int, JobError>
    ) {
        let rig = try SpoolRig()
        try FileTree.write(text, to: rig.folder.sub(name))
        rig.inbox.send(
            .readDigests(
                DigestReading(
                    id: id, directory: rig.folder.path, name: name, source: "/x/\(name)", limit: limit)))
        let result = try rig.event("it is read") { event -> Result<Int, JobError>? in
            if case .digestsRead(self.id, let result) = event { result } else { nil }
        }
        return (rig.ledger.state.withLock { $0.digests[id] ?? [] }, result)
    }

    @Test func `every line goes in under its plain name, the last one without its newline too`() throws {
        let text = "\(zeros)  ./a\n\(zeros) *d//b\r\n\n# x\nnonsense\n\(zeros)  ../up\n\(zeros)  last"
        let read = try read(text)
        #expect(read.lines.map(\.name) == ["a", "d/b", "last"])
        #expect(read.result == .success(4))
    }

    @Test func `a digest alone has no name, and the list's own name tells what it is`() throws {
        let wide = String(repeating: "5a", count: 64)
        let read = try read("\(wide)\n", named: "a.b2")
        #expect(read.lines == [.init(name: "", checksum: try #require(Checksum("blake2b:\(wide)")))])
    }

    @Test func `thousands of lines come in batches, a line without an end is left out`() throws {
        let many = (0..<5000).map { "\(zeros)  f\($0)\n" }.joined()
        let read = try read(many + String(repeating: "x", count: 200_000) + "\n\(zeros)  end\n")
        #expect(read.lines.count == 5001)
        #expect(read.lines.last?.name == "end")
        #expect(read.result == .success(5001))
    }

    @Test func `what has no digest in it, is too long or not there is refused`() throws {
        guard case .failure(let none) = try read("<html></html>\n").result,
            case .failure(let long) = try read("\(zeros)  a\n", limit: 10).result
        else {
            Issue.record("taken")
            return
        }
        #expect(none.code == .digestMissing && none.message.contains("no line of"))
        #expect(long.code == .tooLarge && long.message.contains("limits.max_checksums_size"))
    }
}
