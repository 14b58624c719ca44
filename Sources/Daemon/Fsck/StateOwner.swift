// SPDX-License-Identifier: Apache-2.0

import Glibc
import LinuxKit
import SystemPackage

/// Run by root, fsck becomes the user the daemon runs as, whom the state directory belongs to: what it writes must be
/// the daemon's to read, and a daemon's directories are no place to be root in.
enum StateOwner {
    static func become(ownerOf state: String) throws(StartError) {
        guard geteuid() == 0 else { return }
        let status: FileStatus?
        do { status = try FileStatus.of(FilePath(state), followingLinks: true) } catch {
            throw StartError(ExitStatus.io, "\(error)")
        }
        guard let status, status.owner != 0 else { return }
        guard let record = unsafe getpwuid(status.owner), let name = unsafe record.pointee.pw_name else {
            throw StartError(
                ExitStatus.notPermitted, "\(state) belongs to user \(status.owner), who has no name")
        }
        let group = unsafe record.pointee.pw_gid
        guard unsafe initgroups(name, group) == 0, setgid(group) == 0, setuid(status.owner) == 0 else {
            let error = SystemError.last("become the owner of", state)
            throw StartError(ExitStatus.notPermitted, "\(error)")
        }
    }
}
