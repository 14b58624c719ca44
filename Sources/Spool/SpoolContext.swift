// SPDX-License-Identifier: Apache-2.0

import JobModel
import LinuxKit
import SystemPackage

/// What the desks of the spool share: settings, open directories, the two ways out. Lives on `dld-spool`.
final class SpoolContext {
    var settings: SpoolSettings
    var directories: SpoolDirectories
    let heartbeat: Heartbeat
    private let requests: @Sendable (SpoolRequest) -> Void
    private let events: @Sendable (SpoolEvent) -> Void

    init(
        settings: SpoolSettings, directories: SpoolDirectories, heartbeat: Heartbeat,
        requests: @escaping @Sendable (SpoolRequest) -> Void, events: @escaping @Sendable (SpoolEvent) -> Void
    ) {
        self.settings = settings
        self.directories = directories
        self.heartbeat = heartbeat
        self.requests = requests
        self.events = events
    }

    func ask(_ request: SpoolRequest) { requests(request) }
    func tell(_ event: SpoolEvent) { events(event) }

    func remark(_ level: SpoolLevel, _ message: String, list: ListID? = nil, file: String, line: Int? = nil) {
        events(
            .remark(
                level: level, message: Masking.line(message), list: list, file: Masking.text(file), line: line
            ))
    }

    /// `fsync` of the folders, with the watchdog told.
    func synchronize(_ places: SpoolPlace...) throws(SystemError) {
        for place in places {
            let folder = directories[place]
            try heartbeat.within("fsync a spool directory") { () throws(SystemError) in
                try folder.synchronize()
            }
        }
    }

    /// Moves a file without ever replacing one.
    func move(_ name: FilePath, from: SpoolPlace, to place: SpoolPlace, as new: String) throws(SystemError) {
        try renameNoReplace(
            name, in: directories[from].descriptor.rawValue, to: FilePath(new),
            in: directories[place].descriptor.rawValue)
    }

    /// Whether a name in a folder is this very file.
    func isFile(
        _ name: String, in place: SpoolPlace, device: UInt64, inode: UInt64
    ) throws(SystemError) -> Bool {
        guard let status = try directories[place].status(of: name) else { return false }
        return try isSame(status, device: device, inode: inode)
    }

    /// Whether these are the results of that list: they begin with its id, and ids are never used again.
    func isResults(_ name: String, of list: ListID, in place: SpoolPlace) throws(SystemError) -> Bool {
        let folder = directories[place]
        let file = try Descriptor.open(
            FilePath(name), .readOnly, options: [.noFollow, .nonBlocking], in: folder.descriptor.rawValue)
        let begin = Array("{\"list\":\(list),".utf8)
        return try file.read(upTo: begin.count, name) == begin
    }

    /// Whether a file of the spool is the one that the ledger noted.
    ///
    /// A file system may bear another device number since a reboot (device mapper, loop, NFS). Then no file has the
    /// number that was noted, and within this one spool the inode tells.
    func isSame(_ status: FileStatus, device: UInt64, inode: UInt64) throws(SystemError) -> Bool {
        guard status.inode == inode else { return false }
        if status.device == device { return true }
        return try directories[.spool].descriptor.status(directories.path).device != device
    }
}
