// SPDX-License-Identifier: Apache-2.0

import JobModel
import LinuxKit
import SystemPackage

/// Moves what is no list to `rejected/`, beside a file with the reason.
struct Rejection {
    let context: SpoolContext

    /// The reason first, the move second. If we die in between, a reason without a file is left, which the next try
    /// writes over; the other order could leave a file nobody explains.
    ///
    /// - Parameters:
    ///   - file: its name in `place`.
    ///   - name: what its user calls it.
    ///   - list: its id, where the ledger has given one: it goes into the name where that is taken.
    /// - Returns: the name in `rejected/`.
    @discardableResult
    func move(
        _ file: FilePath, in place: SpoolPlace, name: String, list: ListID?, reason: String
    ) throws(SystemError) -> String {
        let folder = context.directories[.rejected]
        var number = list?.rawValue ?? WallClock.milliseconds()
        var final = ListName(name)
        while try !isFree(final) {
            final = ListName(ListName(name).numbered(number))
            number &+= 1
        }
        let text = "\(Masking.text(name)) was not taken as a list.\n\(Masking.line(reason))\n"
        let path = FilePath(folder.path).appending(final.reason)
        try context.heartbeat.within("fsync a reason file") { () throws(SystemError) in
            try SafeFileWriter.write(
                Array(text.utf8), to: path, temporaryName: ".reason.tmp",
                permissions: FilePermissions(rawValue: 0o640))
        }
        try context.move(file, from: place, to: .rejected, as: final.text)
        try context.synchronize(.rejected, place)
        return final.text
    }

    /// A reason that stands alone is a leftover of ours.
    private func isFree(_ name: ListName) throws(SystemError) -> Bool {
        guard name.reason.utf8.count <= ListName.longest else { return false }
        return try context.directories[.rejected].status(of: name.text) == nil
    }
}
