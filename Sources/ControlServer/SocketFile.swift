// SPDX-License-Identifier: Apache-2.0

import Glibc
import NIOCore
import NIOPosix

/// The socket's place in the file system: never another daemon's, never a file that is no socket, never for a
/// moment open to more users than the settings say.
struct SocketFile: Sendable {
    let path: String
    /// Bound here first. The name moves to `path` when mode and group are set, so that clients find either
    /// nothing,
    /// a dead socket or the finished one.
    let temporaryPath: String

    init(path: String) throws(ControlServerError) {
        let directory = path.utf8.lastIndex(of: UInt8(ascii: "/")).map { String(path[...$0]) } ?? ""
        self.path = path
        temporaryPath = directory + ".dld\(getpid())"
        // sun_path has 108 bytes with the final NUL (unix(7)).
        guard !path.isEmpty, max(path.utf8.count, temporaryPath.utf8.count) < 108 else {
            throw ControlServerError(
                .failed, "control.socket \(path): the path is too long for a socket (107 bytes)")
        }
    }

    /// Whoever answers at the path is another daemon; a socket that refuses is what a crash left and is
    /// replaced.
    func checkFree(group: any EventLoopGroup) throws(ControlServerError) {
        var status = stat()
        guard unsafe lstat(path, &status) == 0 else {
            if errno == ENOENT { return }
            throw failure("stat")
        }
        guard status.st_mode & S_IFMT == S_IFSOCK else {
            throw ControlServerError(.notASocket, "\(path) is there and is no socket: not touched")
        }
        do {
            let channel = try ClientBootstrap(group: group).connectTimeout(.seconds(2))
                .connect(unixDomainSocketPath: path).wait()
            // Only to be polite to the other side.
            try? channel.close().wait()  // it is being left either way
        } catch let error as IOError where error.errnoCode == ECONNREFUSED || error.errnoCode == ENOENT {
            return
        } catch {
            // A full backlog (EAGAIN) or no permission: somebody's all the same.
        }
        throw ControlServerError(.inUse, "\(path): another dld answers there")
    }

    /// Gives the bound socket its mode, group and name.
    func publish(mode: UInt32, group: UInt32?) throws(ControlServerError) {
        if let group, unsafe chown(temporaryPath, uid_t.max, group) != 0 { throw failure("chown") }
        guard unsafe chmod(temporaryPath, mode_t(mode)) == 0 else { throw failure("chmod") }
        guard unsafe rename(temporaryPath, path) == 0 else { throw failure("rename") }
    }

    /// Which file the path names; nil where there is none.
    var identity: Identity? {
        var status = stat()
        guard unsafe lstat(path, &status) == 0 else { return nil }
        return Identity(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
    }
    struct Identity: Sendable, Hashable {
        let device: UInt64
        let inode: UInt64
    }

    /// Removes the socket if it is still the one that was published: a successor may have taken the name.
    func remove(_ published: Identity?) {
        unsafe _ = unlink(temporaryPath)
        if let published, identity == published { unsafe _ = unlink(path) }
    }

    private func failure(_ operation: String) -> ControlServerError {
        ControlServerError(.failed, "\(operation) \(path): \(unsafe String(cString: strerror(errno)))")
    }
}
