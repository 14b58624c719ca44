// SPDX-License-Identifier: Apache-2.0

/// Options that many jobs have: nearly all of a list have its defaults and nothing of their own. By reference, for they
/// are large (some 400 bytes), and jobs that are read ahead lie in memory by the thousand. Any thread.
public final class SharedOptions: Sendable, Hashable {
    public let value: JobOptions

    public init(_ value: JobOptions) { self.value = value }

    /// Nothing is asked for.
    public static let none = SharedOptions(JobOptions())

    public static func == (a: SharedOptions, b: SharedOptions) -> Bool { a === b || a.value == b.value }
    public func hash(into hasher: inout Hasher) { value.hash(into: &hasher) }
}
