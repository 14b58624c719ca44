// SPDX-License-Identifier: Apache-2.0

import JobModel

/// The line that begins an entry of a text list: URLs, or a sum.
enum TextEntryHead {
    static func read(_ bytes: [UInt8], _ line: Int, _ rules: ListRules) -> ListEntry.Body {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            return bad(line, .badLine, "not UTF-8")
        }
        var words: [String] = []
        for part in text.utf8.split(separator: UInt8(ascii: "\t")) {
            let word = part.trimmed
            if !word.isEmpty { words.append(String(Substring(word))) }
        }
        guard let first = words.first else { return bad(line, .badLine, "an empty line") }
        if first.hasPrefix("sum:") {
            guard words.count == 1 else { return bad(line, .badLine, "a sum stands alone on its line") }
            switch SumBound.parse(first, maxTerms: rules.maxSumTerms) {
            case .success(let range): return .sum(range)
            case .failure(let error): return bad(line, error.code, error.message)
            }
        }
        return .urls(words)
    }

    private static func bad(_ line: Int, _ code: ErrorCode, _ message: String) -> ListEntry.Body {
        .bad(JobError(code, "line \(line): \(message)"))
    }
}
