// SPDX-License-Identifier: Apache-2.0

import JobModel

/// Which jobs a host has sent away lately, and how many others it had served by then.
///
/// A job that is refused again although others were served in between is refused for its own sake: without this it
/// would hold its host for ever, uncharged. Bounded; what is forgotten costs one more refusal.
struct RefusalMemory {
    static let limit = 64
    private var servedThen: [JobSeq: UInt64] = [:]

    /// Notes a refusal. Returns whether it is the job's own.
    mutating func note(_ seq: JobSeq, served: UInt64) -> Bool {
        let before = servedThen[seq]
        if before == nil, servedThen.count >= Self.limit,
            let oldest = servedThen.min(by: { $0.value < $1.value })
        {
            servedThen[oldest.key] = nil
        }
        servedThen[seq] = served
        return before.map { $0 < served } ?? false
    }
}
