// SPDX-License-Identifier: Apache-2.0

internal import JobModel

/// Errors as the ledger keeps them: the code's word, so that the table reads well, and the message.
enum ErrorColumn {
    /// Both columns; a word of a later version reads as a local error with its message kept.
    static func error(_ word: String?, _ message: String?) -> JobError? {
        word.map { JobError(ErrorCode(name: $0) ?? .disk, message ?? "") }
    }
}
