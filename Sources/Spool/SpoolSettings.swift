// SPDX-License-Identifier: Apache-2.0

public import JobModel

/// The spool: lists dropped into a directory become entries of the ledger, and ended lists become results files.
///
/// *Threads.* Everything runs on `dld-spool`, in one `SpoolLoop`; others reach it through its mailbox. The reading
/// of lists (`ListReader`, the grammars) is free of the loop and may be used on any thread.
///
/// *Diagnostics.* Job fails: a bad line becomes a failed job, a file that is no list goes to `rejected/` with its
/// reason. Daemon cannot work: `SpoolDirectories.create` throws at the start; later trouble with the directories is a
/// remark and is tried again. Our bug: an answer of
/// the ledger to a question that nobody asked is told as an error and left aside.
public struct SpoolSettings: Sendable {
    /// The spool directory, absolute.
    public var spool: String
    /// A file found by a scan is taken once size and times stood still for so long.
    public var quiet: Duration
    /// How often the directory is looked through even though nothing was reported.
    public var rescanInterval: Duration
    public var layout: OutputLayout
    /// Absolute; an absolute `dir=` must lie below it.
    public var outputRoot: String
    /// Bytes of a list, on disk and unpacked; nil is no limit.
    public var maxListSize: Int64?
    /// A sum of more terms is a bad line.
    public var maxSumTerms: UInt128
    /// Schemes a list may name, lower case.
    public var protocols: Set<String>
    /// Bytes of one file; an entry that says its `size` is larger is a bad line. nil is no limit.
    public var maxFileSize: Int64?
    /// Lists that ended longer ago are removed; nil keeps all.
    public var listRetention: Duration?

    public init(
        spool: String, quiet: Duration = .seconds(5), rescanInterval: Duration = .seconds(30),
        layout: OutputLayout,
        outputRoot: String, maxListSize: Int64? = nil, maxSumTerms: UInt128 = 10_000_000_000_000,
        protocols: Set<String> = ["http", "https"], maxFileSize: Int64? = nil,
        listRetention: Duration? = nil
    ) {
        self.spool = spool
        self.quiet = quiet
        self.rescanInterval = rescanInterval
        self.layout = layout
        self.outputRoot = outputRoot
        self.maxListSize = maxListSize
        self.maxSumTerms = maxSumTerms
        self.protocols = protocols
        self.maxFileSize = maxFileSize
        self.listRetention = listRetention
    }

    /// What reading needs of these.
    public var rules: ListRules {
        ListRules(
            protocols: protocols, maxSumTerms: maxSumTerms, maxListSize: maxListSize,
            maxFileSize: maxFileSize,
            spool: spool)
    }
}
