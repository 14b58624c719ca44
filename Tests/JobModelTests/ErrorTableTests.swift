// SPDX-License-Identifier: Apache-2.0

import Foundation
import JobModel
import Testing

struct ErrorTableTests {
    private func tableRows() throws -> [String: [String]] {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let text = try String(contentsOf: root.appending(path: "docs/errors.md"), encoding: .utf8)
        var rows: [String: [String]] = [:]
        for line in text.split(separator: "\n") where line.hasPrefix("| `") {
            let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
            rows[cells[0].trimmingCharacters(in: ["`"])] = cells
        }
        return rows
    }

    @Test func `every code is in the document with its class and retryability`() throws {
        var rows = try tableRows()
        for code in ErrorCode.fixed {
            let row = try #require(rows[code.name], "docs/errors.md lacks \(code.name)")
            rows[code.name] = nil
            #expect(row.count == 5)
            #expect(row[1] == code.errorClass.rawValue, "class of \(code.name)")
            #expect(row[2] == (code.isRetryable ? "yes" : "no"), "retryability of \(code.name)")
        }
        let http = try #require(rows["http_NNN"])
        rows["http_NNN"] = nil
        #expect(http[1] == "http" && http[2] == "408, 425, 429, 5xx")
        #expect(rows.isEmpty, "the document has codes that the program has not: \(rows.keys)")
    }

    @Test func `retryable statuses are 408 425 429 and 5xx`() {
        for status in 100...999 {
            let expected = [408, 425, 429].contains(status) || (500...599).contains(status)
            #expect(ErrorCode.http(status).isRetryable == expected)
        }
    }

    @Test func `every name reads back as its code`() {
        for code in ErrorCode.fixed + [.http(100), .http(404), .http(999)] {
            #expect(ErrorCode(name: code.name) == code)
        }
        #expect(Set(ErrorCode.fixed.map(\.name)).count == 32)
    }

    @Test(arguments: [
        "", "http_", "http_4", "http_4040", "http_-40", "http_099", "http_4a4", "HTTP_404", "bad line", "ok",
    ])
    func `what is no name is no code`(name: String) {
        #expect(ErrorCode(name: name) == nil)
    }
}
