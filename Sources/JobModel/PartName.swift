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
    /// - Parameter first: the lowest generation that may be had: `next` of all parts that were asked to be removed. The
    ///   removal of one may still be on its way when its job begins again.
    public init(of job: JobID, after old: String?, from first: UInt32 = 0) {
        self.job = job
        guard let old, let last = PartName(old), last.job == job else {
            generation = first
            return
        }
        generation = max(last.next, first)
    }

    /// The generation after this one.
    public var next: UInt32 { generation == .max ? 0 : generation + 1 }

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
