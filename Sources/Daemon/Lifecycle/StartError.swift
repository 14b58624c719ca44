// SPDX-License-Identifier: Apache-2.0

/// Exit statuses of all programs (sysexits(3) where it has one).
public enum ExitStatus {
    public static let fine: Int32 = 0
    /// What was asked failed: a job, a list.
    public static let failed: Int32 = 1
    public static let usage: Int32 = 64
    /// The ledger is corrupt.
    public static let dataError: Int32 = 65
    public static let unavailable: Int32 = 69
    public static let io: Int32 = 74
    /// Another dld holds spool, state or these parts.
    public static let held: Int32 = 75
    public static let notPermitted: Int32 = 77
    /// Config, or a ledger newer than the program.
    public static let config: Int32 = 78
    public static let interrupted: Int32 = 130
}

/// The daemon cannot work: said once, in words, with the exit status that tells systemd whether to try again.
public struct StartError: Error, Sendable, CustomStringConvertible {
    public let status: Int32
    private let words: String
    /// The command that helps, where there is one.
    private let remedy: String?
    public var description: String { remedy.map { "\(words)\n\($0)" } ?? words }
    public init(_ status: Int32, _ words: String, remedy: String? = nil) {
        self.status = status
        self.words = words
        self.remedy = remedy
    }

    /// The same where another command helps.
    func remedied(by remedy: String) -> StartError { StartError(status, words, remedy: remedy) }
}
