// SPDX-License-Identifier: Apache-2.0

/// What becomes of a file whose digest is not the one that was asked for. Pure.
///
/// Whose fault it is cannot be told: a mirror's, the network's, this machine's, the digest's own. So the file is
/// fetched once more, by the next mirror where there is one and always from zero; the second time has the last word.
/// The second look is the file's right and not a retry: `retry.max_attempts` does not refuse it.
public enum MismatchPolicy {
    public enum Verdict: Sendable, Hashable { case fetchAgain, fail }

    /// - Parameter earlier: wrong digests of this job before, kept over restarts.
    public static func verdict(earlier: Int) -> Verdict { earlier < 1 ? .fetchAgain : .fail }

    /// Both values, and what was kept where.
    public static func error(wanted: Checksum, found: Checksum, keptAs name: String?) -> JobError {
        let kept = name.map { "; kept as \(QuarantineName.directory)/\($0)" } ?? ""
        return JobError(.digestMismatch, "expected \(wanted), received \(found)\(kept)")
    }
}

/// A file in `.dld/quarantine`: the job's id, then the name that it would have had.
public enum QuarantineName {
    /// Below the output, or below the mount that the file would have lain on.
    public static let directory = ".dld/quarantine"

    public static func name(of job: JobID, _ path: OutputPath) -> String {
        let head = Array("\(job).".utf8)
        let rest = OutputName.prefix(Array(path.lastComponent.utf8)[...], OutputName.maxBytes - head.count)
        return String(decoding: head + rest, as: UTF8.self)
    }
}
