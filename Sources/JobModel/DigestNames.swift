// SPDX-License-Identifier: Apache-2.0

/// How an entry finds its line in a list of digests. Pure.
///
/// A list names files as they lie below its own directory, on a server that may be mirrored anywhere. So an entry goes
/// by the end of its URL's path, the longest first: `pub/8/a.iso`, `8/a.iso`, `a.iso`; then likewise by the end of its
/// path below the output, for lists that know the name which `out=` gave. A line that is another file's can only fail
/// the entry, for the digest decides.
public enum DigestNames {
    /// Directories that are looked at above the name itself.
    static let depth = 15
    /// Bytes of a name that are kept; Linux has no longer path.
    static let longest = 4096

    /// A line's name as it is looked up: `./` before it and doubled slashes dropped, an absolute one without its
    /// first slash. nil for what no entry can be called: `..` in it, no UTF-8, too long.
    public static func normalized(_ name: [UInt8]) -> String? {
        guard name.count <= longest else { return nil }
        let parts = name.split(separator: UInt8(ascii: "/")).filter { !$0.elementsEqual(".".utf8) }
        guard !parts.isEmpty, !parts.contains(where: { $0.elementsEqual("..".utf8) }) else { return nil }
        let bytes = Array(parts.joined(separator: [UInt8(ascii: "/")]))
        return String(validating: bytes, as: UTF8.self)
    }

    /// The names of an entry in the order in which they are looked up, none twice.
    /// - Parameter url: normalised, of its first mirror.
    public static func candidates(url: String, path: OutputPath) -> [String] {
        var names: [String] = []
        var seen: Set<[UInt8]> = []
        for parts in [segments(of: url), path.bytes.split(separator: UInt8(ascii: "/")).map { Array($0) }] {
            for start in parts.indices.suffix(depth + 1) {
                let bytes = Array(parts[start...].joined(separator: [UInt8(ascii: "/")]))
                // As bytes: Swift's == would take two spellings of a letter for one name.
                if seen.insert(bytes).inserted, let name = String(validating: bytes, as: UTF8.self) {
                    names.append(name)
                }
            }
        }
        return names
    }

    /// The path of a normalised URL, its segments decoded.
    private static func segments(of url: String) -> [[UInt8]] {
        let bytes = Array(url.utf8)
        guard let colon = bytes.firstIndex(of: UInt8(ascii: ":")), bytes[colon...].starts(with: "://".utf8),
            let slash = bytes[(colon + 3)...].firstIndex(of: UInt8(ascii: "/"))
        else { return [] }
        let path = bytes[slash...].prefix { $0 != UInt8(ascii: "?") && $0 != UInt8(ascii: "#") }
        return path.split(separator: UInt8(ascii: "/")).map { PercentText.decodedSegment(Array($0)) }
    }
}
