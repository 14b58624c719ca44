// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// A file that stays open from its first byte to its fsync, handed from the thread that wrote it to the one that
/// syncs it. One at a time uses it. Closed with the last reference.
///
/// Why the same open file: the kernel keeps a write error with the inode and tells it to each descriptor that was
/// open when it happened (errseq_t, Linux 4.13). A descriptor opened later is told only if nobody was before, and if
/// the inode has not left memory meanwhile, which takes the error with it. So only the descriptor that was there
/// before the first byte proves the file.
public final class KeptFile: Sendable, Hashable {
    public let descriptor: Descriptor
    private let purse: DescriptorPurse

    fileprivate init(_ descriptor: consuming Descriptor, _ purse: DescriptorPurse) {
        self.descriptor = descriptor
        self.purse = purse
    }
    deinit { purse.giveBack() }

    public static func == (a: KeptFile, b: KeptFile) -> Bool { a === b }
    public func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
}

/// How many descriptors may be kept open beyond their use. Any thread.
public final class DescriptorPurse: Sendable {
    private let limit: Int
    private let count = Atomic(0)

    public init(limit: Int) { self.limit = max(0, limit) }

    /// nil, and the descriptor is closed: as many as may be are out.
    public func keep(_ descriptor: consuming Descriptor) -> KeptFile? {
        if count.wrappingAdd(1, ordering: .relaxed).newValue > limit {
            giveBack()
            return nil
        }
        return KeptFile(descriptor, self)
    }

    fileprivate func giveBack() { count.wrappingSubtract(1, ordering: .relaxed) }
}
