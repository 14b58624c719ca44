// SPDX-License-Identifier: Apache-2.0

import LinuxKit
import SystemPackage

/// Files as people name them to the verbs by hand: any bytes, and `-` for standard input.
enum NamedFile {
    static let standardInput = [UInt8(ascii: "-")]

    /// Without O_NONBLOCK a FIFO without a writer would hang the opening.
    static func open(_ name: [UInt8]) throws(SystemError) -> Descriptor {
        if name == standardInput {
            do {
                return Descriptor(owning: try FileDescriptor.standardInput.duplicate().rawValue)
            } catch {
                throw SystemError(error as? Errno ?? .badFileDescriptor, "duplicate", "standard input")
            }
        }
        let characters: [CInterop.PlatformChar] = name.map { CInterop.PlatformChar(bitPattern: $0) } + [0]
        return try Descriptor.open(FilePath(platformString: characters), .readOnly, options: [.nonBlocking])
    }
}
