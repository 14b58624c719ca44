// SPDX-License-Identifier: Apache-2.0

/// The mount that a final path lies on: where its part must lie too, so that publishing is a rename and never a copy.
///
/// `output` is the file system of the output directory itself; another one is a mount below it, named by its path
/// there. The parts of a home lie in `OUTPUT/HOME/.dld/ID`.
public struct PartHome: Sendable, Hashable {
    /// Below the output directory, without slashes at the ends; empty: the output itself. Compared as bytes.
    public let path: [UInt8]
    public init(_ path: [UInt8]) { self.path = path }

    public static let output = PartHome([])
    public var isOutput: Bool { path.isEmpty }

    /// The directory itself.
    /// - Parameter output: the output directory.
    public func root(output: String) -> String {
        isOutput ? output : output + "/" + String(decoding: path, as: UTF8.self)
    }

    /// The directory of this home's parts.
    /// - Parameter main: `OUTPUT/.dld/ID`.
    public func parts(output: String, main: String) -> String {
        isOutput ? main : output + "/" + partsBelowOutput(main: main)
    }

    /// The same as it lies below the output directory: for walks that must not leave that.
    public func partsBelowOutput(main: String) -> String {
        let slash = UInt8(ascii: "/")
        let identity = main.utf8.split(separator: slash).last.map { String(decoding: $0, as: UTF8.self) }
        let above = isOutput ? "" : String(decoding: path, as: UTF8.self) + "/"
        return above + ".dld/" + (identity ?? "")
    }
}

/// The mounts below the output directory, read from `/proc/self/mountinfo` (proc_pid_mountinfo(5)). Pure.
///
/// By mount, not by device: rename(2) answers EXDEV between two bind mounts of one file system as well.
public struct MountTable: Sendable, Hashable {
    /// Longest first, so that the first match is the innermost mount.
    public private(set) var homes: [PartHome]

    public init(homes: [PartHome] = []) {
        self.homes = homes.sorted { $0.path.count > $1.path.count }
    }

    /// - Parameters:
    ///   - mountinfo: the file's bytes.
    ///   - root: the output directory's real path, absolute.
    public init(mountinfo: [UInt8], below root: [UInt8]) {
        let mounts = mountinfo.split(separator: UInt8(ascii: "\n")).compactMap { Mount($0) }
        let visible = Self.visible(mounts)
        let inside = root == [UInt8(ascii: "/")] ? root : root + [UInt8(ascii: "/")]
        self.init(
            homes: visible.filter { $0.count > inside.count && $0.starts(with: inside) }
                .map { PartHome(Array($0.dropFirst(inside.count))) })
    }

    /// The home of a file's part. Constant time where nothing is mounted below the output.
    public func home(of path: OutputPath) -> PartHome {
        for home in homes where path.bytes.count > home.path.count {
            if path.bytes[home.path.count] == UInt8(ascii: "/"), path.bytes.starts(with: home.path) {
                return home
            }
        }
        return .output
    }

    private struct Mount {
        let id: Int
        let parent: Int
        let point: [UInt8]

        /// `36 35 98:0 /root /point options...`
        init?(_ line: ArraySlice<UInt8>) {
            let fields = line.split(separator: UInt8(ascii: " "), maxSplits: 5)
            guard fields.count >= 5, let id = Int(String(decoding: fields[0], as: UTF8.self)),
                let parent = Int(String(decoding: fields[1], as: UTF8.self))
            else { return nil }
            self.id = id
            self.parent = parent
            point = MountTable.unescaped(fields[4])
        }
    }

    /// The points whose topmost mount can be walked to: not those below a place that was mounted over later.
    private static func visible(_ mounts: [Mount]) -> [[UInt8]] {
        var top: [[UInt8]: Mount] = [:]
        for (point, stack) in Dictionary(grouping: mounts, by: \.point) {
            // Each of a stack has the one below as its parent: the topmost is nobody's.
            let covered = Set(stack.map(\.parent))
            top[point] = stack.first { !covered.contains($0.id) }
        }
        return mounts.map(\.point).filter { point in
            guard let mount = top[point], point.count > 1 else { return false }
            var stacked = mount
            // Down the stack: what the lowest one is mounted on must be what lies above it in the tree.
            while let below = mounts.first(where: { $0.id == stacked.parent }), below.point == point {
                stacked = below
            }
            return enclosing(point, in: top)?.id == stacked.parent
        }.reduce(into: [[UInt8]]()) { if !$0.contains($1) { $0.append($1) } }
    }

    private static func enclosing(_ point: [UInt8], in top: [[UInt8]: Mount]) -> Mount? {
        var above = point
        while let slash = above.lastIndex(of: UInt8(ascii: "/")) {
            above = slash == 0 ? [UInt8(ascii: "/")] : Array(above[..<slash])
            if let mount = top[above] { return mount }
            if slash == 0 { return nil }
        }
        return nil
    }

    /// Space, tab, line feed and backslash come as three octal digits after a backslash.
    public static func unescaped(_ field: ArraySlice<UInt8>) -> [UInt8] {
        var bytes: [UInt8] = []
        var rest = field
        while let byte = rest.popFirst() {
            let digits = rest.prefix(3)
            if byte == UInt8(ascii: "\\"), digits.count == 3,
                let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 8)
            {
                bytes.append(value)
                rest = rest.dropFirst(3)
            } else {
                bytes.append(byte)
            }
        }
        return bytes
    }

    /// The other way round.
    public static func escaped(_ path: [UInt8]) -> [UInt8] {
        path.flatMap { byte -> [UInt8] in
            guard byte <= 0x20 || byte == UInt8(ascii: "\\") else { return [byte] }
            let digits = String(byte, radix: 8)
            return Array(("\\" + String(repeating: "0", count: 3 - digits.utf8.count) + digits).utf8)
        }
    }
}
