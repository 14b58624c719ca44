// SPDX-License-Identifier: Apache-2.0

/// Name of a part file: `JOB.part`, and `JOB.N.part` for the Nth time that the job began it anew.
///
/// A part that begins anew gets another name, never the old file cut to nothing: a resume point in the ledger
/// says "so many bytes of this version are in the file of this name", and stays true, or finds no such file,
/// whatever a crash leaves behind. Inode numbers cannot promise that, they are given out again at once.
public struct PartName: Sendable, Hashable, CustomStringConvertible {
    /// Whose transfer made the file; a later job of the same URL may have taken it over since.
    public let job: JobID
    /// From 0.
    public let generation: UInt32

    /// For a part that a job begins from zero; `old`: what its resume point names, which this must not be.
    ///
    /// - Parameter mismatches: how often the job's file came with a wrong digest. That part is being removed while the
    ///   next one begins, so the next has a name that none of its begins can have had.
    public init(of job: JobID, after old: String?, mismatches: Int = 0) {
        self.job = job
        guard let old, let last = PartName(old), last.job == job else {
            generation = UInt32(min(max(mismatches, 0), 0xFFFF)) << 16
            return
        }
        generation = last.generation == .max ? 0 : last.generation + 1
    }

    /// Reads a name; nil for a file that is no part.
    public init?(_ text: String) {
        let words = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard let first = words.first, let last = words.last, last.elementsEqual("part".utf8),
            let job = JobID(String(Substring(first)))
        else { return nil }
        switch words.count {
        case 2: generation = 0
        case 3:
            let digits = words[1]
            guard digits.first.map({ (UInt8(ascii: "1")...UInt8(ascii: "9")).contains($0) }) ?? false,
                digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
                let number = UInt32(Substring(digits))
            else { return nil }
            generation = number
        default: return nil
        }
        self.job = job
    }

    /// As it stands in the parts directory.
    public var description: String { generation == 0 ? "\(job).part" : "\(job).\(generation).part" }
}
