// SPDX-License-Identifier: Apache-2.0

/// Which published files an audit looks at.
public enum AuditScope: Sendable, Hashable {
    case all
    case list(ListID)
    /// Files and directories below the output directory; made by `AuditScope.paths(_:output:)`.
    case paths([OutputPath])

    /// As many as one audit takes.
    public static let pathLimit = 1000

    /// Paths as a user gives them: absolute below the output directory, or relative to it. Sorted, without those that
    /// lie below another one.
    ///
    /// - Throws: `bad_option`, `outside_output`.
    public static func paths(_ given: [String], output: String) throws(JobError) -> AuditScope {
        guard !given.isEmpty, given.count <= pathLimit else {
            throw JobError(.badOption, "an audit takes 1 to \(pathLimit) paths")
        }
        var paths: [OutputPath] = []
        for text in given {
            let path = try path(text, output: output)
            // The output directory itself is everything.
            if path.bytes.isEmpty { return .all }
            paths.append(path)
        }
        paths.sort { $0.bytes.lexicographicallyPrecedes($1.bytes) }
        var kept: [OutputPath] = []
        for path in paths where !kept.contains(where: { $0 == path || isInside(path, $0) }) {
            kept.append(path)
        }
        return .paths(kept)
    }

    private static func path(_ text: String, output: String) throws(JobError) -> OutputPath {
        var bytes = Array(text.utf8)
        if bytes.first == UInt8(ascii: "/") {
            let root = Array(output.utf8)
            guard bytes.starts(with: root),
                bytes.count == root.count || bytes[root.count] == UInt8(ascii: "/")
            else {
                throw JobError(.outsideOutput, "\(Masking.text(text)) is not below \(output)")
            }
            bytes.removeFirst(root.count)
        }
        let parts = bytes.split(separator: UInt8(ascii: "/")).filter { !$0.elementsEqual(".".utf8) }
        guard !parts.contains(where: { $0.elementsEqual("..".utf8) }), !bytes.contains(0) else {
            throw JobError(.outsideOutput, "\(Masking.text(text)) has a \"..\" in it")
        }
        let joined = parts.map { String(decoding: $0, as: UTF8.self) }.joined(separator: "/")
        return OutputPath(trusted: joined)
    }

    private static func isInside(_ inner: OutputPath, _ outer: OutputPath) -> Bool {
        inner.bytes.count > outer.bytes.count && inner.bytes.starts(with: outer.bytes)
            && inner.bytes[outer.bytes.count] == UInt8(ascii: "/")
    }

    /// The runs of paths, in the order of their bytes, that make up all of it; none for a list.
    public var ranges: [PathRange] {
        switch self {
        case .all: return [PathRange(lower: [], upper: nil)]
        case .list: return []
        case .paths(let paths):
            let runs = paths.flatMap { path in
                [
                    PathRange(lower: path.bytes, upper: PathRange.successor(path.bytes)),
                    // `/` and the byte after it: all that is below, and nothing that only begins alike.
                    PathRange(lower: path.bytes + [0x2F], upper: path.bytes + [0x30]),
                ]
            }
            return runs.sorted { $0.lower.lexicographicallyPrecedes($1.lower) }
        }
    }

    /// What is left of the runs behind the cursor.
    public func ranges(after cursor: AuditCursor?) -> [PathRange] {
        guard case .path(let last)? = cursor else { return ranges }
        return ranges.compactMap { $0.after(last.bytes) }
    }
}

/// Paths from `lower` to before `upper`, compared by their bytes.
public struct PathRange: Sendable, Hashable {
    public var lower: [UInt8]
    /// nil: to the end.
    public var upper: [UInt8]?
    public init(lower: [UInt8], upper: [UInt8]?) {
        self.lower = lower
        self.upper = upper
    }

    /// The first path behind another. A path has no control character in it (`OutputName.safe`), and SQLite ends a
    /// text at a NUL.
    static func successor(_ path: [UInt8]) -> [UInt8] { path + [1] }

    /// What is left of it behind a path; nil: nothing.
    func after(_ path: [UInt8]) -> PathRange? {
        let next = Self.successor(path)
        if let upper, !next.lexicographicallyPrecedes(upper) { return nil }
        return lower.lexicographicallyPrecedes(next) ? PathRange(lower: next, upper: upper) : self
    }
}
