// SPDX-License-Identifier: Apache-2.0

import Locking
import NIOCore

/// The connections that are served: never more than the limit, and at hand for a stop, which closes those that will
/// not end by themselves (a client that does not read its answer holds its handler for ever).
final class ConnectionTable: Sendable {
    private struct State {
        var channels: [ObjectIdentifier: any Channel] = [:]
        /// Refused ones that have not closed yet.
        var leaving = 0
        /// Somebody was refused since it was last half empty.
        var isCrowded = false
    }
    enum Admission: Equatable {
        case served
        /// `isFirst`: once a crowd, for the log. `waits`: there is room for it until it has read why.
        case refused(isFirst: Bool, waits: Bool)
    }

    private let limit: Int
    private let state = Guarded(State())

    init(limit: Int) { self.limit = limit }

    var count: Int { state.withLock { $0.channels.count } }

    /// Takes a channel in until it closes, or says that there is no room for it.
    func admit(_ channel: any Channel) -> Admission {
        let answer = state.withLock { state -> Admission in
            guard state.channels.count < limit else {
                defer { state.isCrowded = true }
                let waits = state.leaving < limit
                if waits { state.leaving += 1 }
                return .refused(isFirst: !state.isCrowded, waits: waits)
            }
            if state.channels.count < limit / 2 { state.isCrowded = false }
            state.channels[ObjectIdentifier(channel)] = channel
            return .served
        }
        if case .refused(_, waits: false) = answer { return answer }
        channel.closeFuture.whenComplete { _ in
            self.state.withLock { state in
                if state.channels.removeValue(forKey: ObjectIdentifier(channel)) == nil { state.leaving -= 1 }
            }
        }
        return answer
    }

    /// Any thread.
    func closeAll() {
        for channel in state.withLock({ Array($0.channels.values) }) {
            channel.close(mode: .all, promise: nil)
        }
    }
}
