// SPDX-License-Identifier: Apache-2.0

/// What an answer to a range showed of the server's ranges.
public enum RangeConduct: Sendable, Hashable {
    /// Nothing was asked, or it was answered as it should be; also by a 200 with another version.
    case fair
    /// The whole file although it is the same version, or a refusal: no ranges here. Harmless.
    case ignores
    /// A 206 that is not what was asked for. Had it been believed, the file would be a mix.
    case lies
}

/// Hosts that no range is asked of. Pure.
public struct RangeMemory: Sendable {
    /// Hosts remembered of each kind; one more makes room by forgetting another.
    public static let limit = 16_384
    private var liars: Set<HostKey>
    private var ignorers: Set<HostKey> = []

    /// - Parameter liars: those of earlier runs.
    public init(liars: some Sequence<HostKey> = [HostKey]()) { self.liars = Set(liars.prefix(Self.limit)) }

    public func asksRanges(of host: HostKey) -> Bool {
        !liars.contains(host) && !ignorers.contains(host)
    }

    /// Returns whether the ledger is to remember it too: a lie that was not known.
    public mutating func note(_ conduct: RangeConduct, of host: HostKey) -> Bool {
        switch conduct {
        case .fair: return false
        case .ignores:
            if ignorers.count >= Self.limit { ignorers.removeFirst() }
            ignorers.insert(host)
            return false
        case .lies:
            if liars.count >= Self.limit { liars.removeFirst() }
            return liars.insert(host).inserted
        }
    }

    /// A person says that the host is well again. Returns whether the ledger knew it as a liar.
    public mutating func forget(_ host: HostKey) -> Bool {
        ignorers.remove(host)
        return liars.remove(host) != nil
    }
}
