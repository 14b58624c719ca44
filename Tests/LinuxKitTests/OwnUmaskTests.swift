// SPDX-License-Identifier: Apache-2.0

import SystemPackage
import TestKit
import Testing

@testable import LinuxKit

struct OwnUmaskTests {
    @Test func `a thread with a umask of its own makes files of the mode asked for, others as before`() throws
    {
        let scratch = Scratch()
        let (before, own, after) = (scratch.sub("before"), scratch.sub("own"), scratch.sub("after"))
        @Sendable func mode(_ file: FilePath) throws -> CInterop.Mode? {
            _ = try Descriptor.open(
                file, .writeOnly, options: [.create], permissions: FilePermissions(rawValue: 0o666))
            return try FileStatus.of(file)?.permissions.rawValue
        }
        let usual = try mode(before)
        let thread = WorkerThread(name: "own-umask") {
            WorkerThread.clearOwnUmask()
            _ = try? mode(own)  // looked at below
        }
        thread.join()
        #expect(try FileStatus.of(own)?.permissions.rawValue == 0o666)
        #expect(try mode(after) == usual)
    }
}
