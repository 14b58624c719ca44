// SPDX-License-Identifier: Apache-2.0

import Locking
import NIOCore

/// The connections that are open, so that a stop can close those that will not end by themselves (a client
/// that
/// does not read its answer holds its handler for ever).
final class ConnectionTable: Sendable {
    private let channels = Guarded<[ObjectIdentifier: any Channel]>([:])

    var count: Int { channels.withLock { $0.count } }

    func insert(_ channel: any Channel) { channels.withLock { $0[ObjectIdentifier(channel)] = channel } }
    func remove(_ channel: any Channel) {
        channels.withLock { _ = $0.removeValue(forKey: ObjectIdentifier(channel)) }
    }

    /// Any thread.
    func closeAll() {
        for channel in channels.withLock({ Array($0.values) }) { channel.close(mode: .all, promise: nil) }
    }
}

/// Sits in each connection's pipeline and keeps the table. Passes everything on.
final class ConnectionHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = Never
    private let table: ConnectionTable
    init(_ table: ConnectionTable) { self.table = table }

    func handlerAdded(context: ChannelHandlerContext) { table.insert(context.channel) }
    func handlerRemoved(context: ChannelHandlerContext) { table.remove(context.channel) }
}
