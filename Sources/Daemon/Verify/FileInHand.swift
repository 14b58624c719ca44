// SPDX-License-Identifier: Apache-2.0

import JobModel
import LinuxKit
import SystemPackage

extension FileFacts {
    init(_ status: FileStatus) {
        self.init(
            isRegular: status.kind == .regular, size: status.size, modifiedAt: status.modifiedMilliseconds,
            identity: [
                Int64(bitPattern: status.device), Int64(bitPattern: status.inode), status.modifiedSeconds,
                status.modifiedNanoseconds, status.changedSeconds, status.changedNanoseconds,
            ])
    }
}

extension AuditPage.Look {
    /// What lies under a path below the output. No link is followed, whoever plants it.
    static func at(_ path: OutputPath, in tree: borrowing DirectoryTree) -> AuditPage.Look {
        do throws(SystemError) {
            guard let status = try tree.status(of: FilePath(path.description)) else { return .gone }
            return .file(FileFacts(status))
        } catch {
            return refusal(error)
        }
    }

    /// A link or a file on the way to it: what was published is not there any more.
    static func refusal(_ error: SystemError) -> AuditPage.Look {
        switch error.code {
        case .noSuchFileOrDirectory, .notDirectory, .tooManySymbolicLinkLevels: .gone
        default: .refused("\(error.code)")
        }
    }
}

/// A file that is being digested. It stays open until its digest is there: its own status tells then whether anybody
/// wrote to it, or took its name away, and what it filled of the page cache can be given back.
final class FileInHand: Sendable {
    let index: Int
    let size: Int64
    /// Small, and not what may have taken a process down: digested together with others.
    let isBundled: Bool
    let file: HeldFile
    /// None of it was in the page cache before: an audit leaves no trace there, so that what downloads and users read
    /// again and again is not pushed out by what is read once in a month.
    private let wasCold: Bool

    init(_ file: consuming Descriptor, index: Int, size: Int64, isBundled: Bool) {
        self.index = index
        self.size = size
        self.isBundled = isBundled
        wasCold = file.isCold(size: size)
        self.file = HeldFile(file)
    }

    /// The file as it is by now.
    func look() -> AuditPage.Look {
        do throws(SystemError) { return .file(FileFacts(try file.descriptor.status())) } catch {
            return .refused("\(error.code)")
        }
    }

    func done() { if wasCold { file.descriptor.dropFromCache() } }
}
