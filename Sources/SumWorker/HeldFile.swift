// SPDX-License-Identifier: Apache-2.0

import LinuxKit

/// A file under way, shared by the job and what waits in a queue; closed with the last of them.
final class HeldFile {
    let descriptor: Descriptor
    init(_ descriptor: consuming Descriptor) { self.descriptor = descriptor }
}
