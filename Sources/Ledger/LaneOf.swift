// SPDX-License-Identifier: Apache-2.0

public import JobModel

extension LedgerStore {
    /// The lane a job lies in; nil where there is no such job.
    public func lane(of seq: JobSeq) throws(LedgerError) -> LaneKey? {
        try read { db in try head(seq, db)?.lane }
    }
}
