// SPDX-License-Identifier: Apache-2.0

import JobModel
import LinuxKit

extension ByHand {
    /// What `sumd digest` and `sumd check` did.
    public struct DigestReport: Sendable, Hashable {
        public var files = 0
        public var failures = 0
        public var bytes: Int64 = 0
        /// ns.
        public var wall: Int64 = 0
        /// CPU time of the workers, ns.
        public var cpu: Int64 = 0
        public var processes = 0
        /// Why workers could do more than compute, where they could.
        public var unconfined: String?
    }

    /// Names that `--algorithm` takes, besides the other spellings of each.
    public static var algorithms: [String] { DigestAlgorithm.allCases.map(\.rawValue) }

    /// By any of its spellings.
    static func algorithm(_ name: String) throws(ByHandError) -> DigestAlgorithm {
        guard let algorithm = DigestAlgorithm(spelled: name) else {
            throw .usage(
                "\"\(Masking.text(name))\" is no algorithm; there are \(algorithms.joined(separator: ", "))")
        }
        return algorithm
    }

    /// A line for standard output, without its line feed, or one for standard error, without the program's name.
    public enum DigestText: Sendable, Hashable {
        case output([UInt8])
        case complaint(String)
    }

    /// How `sumd digest` writes a line.
    public struct DigestForm: Sendable, Hashable {
        /// `SHA256 (name) = HEX`.
        public var isTagged = false
        /// ` *` before the name instead of two blanks.
        public var isBinary = false
        /// Names as they are; a zero byte ends the line.
        public var isZeroEnded = false
        public init() {}
    }

    /// Digests files (`-`: standard input) over `processes` workers; lines and complaints come in the order given and
    /// read as those of coreutils.
    public static func digest(
        _ paths: [[UInt8]], algorithm name: String, form: DigestForm, processes: Int,
        show: (DigestText) -> Void
    ) throws(ByHandError) -> DigestReport {
        let algorithm = try algorithm(name)
        var desk = try DigestDesk(processes: processes)
        var rest = paths.makeIterator()
        try desk.run {
            rest.next().map { (DigestDesk.Order(path: $0, algorithm: algorithm), $0) }
        } show: { path, answer in
            switch answer {
            case .nothing: break
            case .digest(let checksum):
                let entry = DigestListEntry(checksum: checksum, name: path, isBinary: form.isBinary)
                show(.output(entry.line(tagged: form.isTagged, escaped: !form.isZeroEnded)))
            case .failed(_, let message): show(.complaint("\(ShellQuoting.quoted(path)): \(message)"))
            }
        }
        return desk.report
    }
}
