// SPDX-License-Identifier: Apache-2.0

import Config
import Glibc
import JobModel
import LinuxKit
import SystemPackage

/// Reads the files that `hosts."H".credentials_file` names, at a start and at each reload. Blocks; any thread.
struct CredentialFiles {
    /// systemd's directory of `LoadCredential=`; nil: not started with any.
    let directory: String?
    /// Who reads: the files are this user's or root's.
    let user: UInt32

    init(directory: String?, user: UInt32) {
        self.directory = directory
        self.user = user
    }

    static func ofThisProcess() -> CredentialFiles {
        let directory = unsafe getenv("CREDENTIALS_DIRECTORY").map { unsafe String(cString: $0) }
        return CredentialFiles(directory: directory, user: geteuid())
    }

    /// Every credential by the name the config gives its file, or everything that is wrong with them.
    func load(_ rules: HostRules) -> Result<[String: OriginCredential], Mistakes> {
        var loaded: [String: OriginCredential] = [:]
        var mistakes: [ConfigMistake] = []
        for (pattern, file) in rules.credentialsFiles {
            switch read(file) {
            case .success(let credential): loaded[file] = credential
            case .failure(let fault):
                mistakes.append(
                    ConfigMistake(
                        path: "hosts.\"\(pattern)\".credentials_file",
                        message: "\(Masking.text(file)) \(fault.description)"))
            }
        }
        return mistakes.isEmpty ? .success(loaded) : .failure(Mistakes(list: mistakes))
    }

    struct Mistakes: Error {
        let list: [ConfigMistake]
    }
    private struct Fault: Error {
        let description: String
    }

    private func read(_ file: String) -> Result<OriginCredential, Fault> {
        guard let path = path(of: file) else {
            return .failure(
                Fault(
                    description: "is a bare name, and there is no $CREDENTIALS_DIRECTORY: "
                        + "give it with LoadCredential= in the unit, or write an absolute path"))
        }
        do throws(SystemError) {
            // Not followed, not waited for: a link could be bent to another file, a FIFO would hang the start.
            let opened = try Descriptor.open(path, .readOnly, options: [.noFollow, .nonBlocking])
            if let why = objection(to: try opened.status(path.string), at: path) {
                return .failure(Fault(description: why))
            }
            var bytes: [UInt8] = []
            while bytes.count <= OriginCredential.maxBytes {
                guard let more = try opened.read(upTo: 65_536, path.string), !more.isEmpty else { break }
                bytes += more
            }
            return OriginCredential.parse(bytes).mapError { Fault(description: $0.description) }
        } catch {
            if error.code == .tooManySymbolicLinkLevels {
                return .failure(Fault(description: "is a symbolic link; expected the file itself"))
            }
            return .failure(Fault(description: "cannot be read: \(error)"))
        }
    }

    private func path(of file: String) -> FilePath? {
        if file.utf8.first == UInt8(ascii: "/") { return FilePath(file) }
        return directory.map { FilePath($0).appending(file) }
    }

    /// systemd keeps its directory from all but the service, and shows the service's own right to read as the group's.
    private func objection(to status: FileStatus, at path: FilePath) -> String? {
        guard status.kind == .regular else { return "is no regular file" }
        guard status.owner == user || status.owner == 0 || user == 0 else {
            return "belongs to user \(status.owner); expected \(user), who runs dld, or root"
        }
        let isSystemd = directory.map { path.removingLastComponent() == FilePath($0) } ?? false
        let forbidden: CInterop.Mode = isSystemd ? 0o022 : 0o077
        if status.permissions.rawValue & forbidden != 0 {
            let mode = String(status.permissions.rawValue, radix: 8)
            return
                "has mode 0\(mode), so others can get at it; mend it with: chmod 600 \(Masking.text(path.string))"
        }
        return nil
    }
}
