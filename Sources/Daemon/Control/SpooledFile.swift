// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import LinuxKit
import SystemPackage

/// A list that the ledger does not know (yet, or never will): a file in the spool or in `rejected/`.
enum SpooledFile {
    /// Any thread that may touch the disk.
    static func look(for name: String, in spoolPath: String) -> ListDocument? {
        var document = ListDocument()
        document.id = nil
        document.name = name
        if exists("\(spoolPath)/\(name)") {
            document.state = .spooled
            return document
        }
        guard exists("\(spoolPath)/rejected/\(name)") else { return nil }
        document.state = .rejected
        document.finalName = "rejected/\(name)"
        document.reason = reason(at: "\(spoolPath)/rejected/\(name).reason.txt")
        return document
    }

    private static func exists(_ path: String) -> Bool {
        do {
            return try FileStatus.of(FilePath(path))?.kind == .regular
        } catch {
            return false
        }
    }

    private static func reason(at path: String) -> String? {
        do {
            let file = try Descriptor.open(FilePath(path), .readOnly, options: [.noFollow])
            guard let bytes = try file.read(upTo: 4096, path) else { return nil }
            let text = String(decoding: bytes, as: UTF8.self)
            return text.split(separator: "\n").first.map(String.init)
        } catch {
            return nil
        }
    }
}
