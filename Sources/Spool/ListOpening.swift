// SPDX-License-Identifier: Apache-2.0

import LinuxKit
import SystemPackage

/// Opens what was found in the spool, and says what is no list by its kind.
enum ListOpening {
    case opened(OpenFile, FileStatus)
    /// Somebody took it away, or put something else in its place meanwhile.
    case gone
    case refused(String)
    case trouble(SystemError)

    /// - Parameter isOurs: the ledger knows the file already: how many names it has does not matter any more.
    static func open(
        _ name: FilePath, in folder: OpenFolder, maxSize: Int64?, isOurs: Bool = false
    ) -> ListOpening {
        let number = folder.descriptor.rawValue
        let path = folder.path + "/" + name.string
        do throws(SystemError) {
            guard let found = try FileStatus.of(name, in: number) else { return .gone }
            if let reason = refusal(found, maxSize, isOurs) { return .refused(reason) }
            // O_NONBLOCK: should a FIFO have taken the place meanwhile, nobody waits for its writer.
            let file = OpenFile(
                try Descriptor.open(name, .readOnly, options: [.noFollow, .nonBlocking], in: number),
                path: path)
            let status = try file.status()
            guard status.isSameFile(as: found) else { return .gone }
            if let reason = refusal(status, maxSize, isOurs) { return .refused(reason) }
            return .opened(file, status)
        } catch {
            return failure(error)
        }
    }

    static func failure(_ error: SystemError) -> ListOpening {
        switch error.code {
        case .noSuchFileOrDirectory, .tooManySymbolicLinkLevels: .gone
        case .permissionDenied, .notPermitted: .refused(unreadable)
        default: .trouble(error)
        }
    }

    static let unreadable = "dld may not read it; chmod g+r FILE, then move it into the spool again"

    /// Why something of this kind is no list; nil for a file that may be one.
    static func refusal(_ status: FileStatus, _ maxSize: Int64?, _ isOurs: Bool = false) -> String? {
        switch status.kind {
        case .symbolicLink: return "it is a symbolic link; move or copy the file itself into the spool"
        case .fifo: return "it is a FIFO; a list is a regular file"
        case .socket: return "it is a socket; a list is a regular file"
        case .device: return "it is a device; a list is a regular file"
        case .directory: return "it is a directory; move the lists in it into the spool one by one"
        case .regular: break
        }
        if status.links > 1, !isOurs {
            return
                "it has \(status.links) hard links, so another name can change it; copy it into the spool instead"
        }
        if let maxSize, status.size > maxSize {
            return "its \(status.size) bytes are over limits.max_list_size, \(maxSize)"
        }
        return nil
    }
}
