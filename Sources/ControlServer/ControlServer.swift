// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import HummingbirdCore
public import Logging
import NIOCore
import NIOPosix

/// HTTP/1.1 with JSON on a Unix socket: what dlctl, curl and a metrics collector talk to.
///
/// Purpose: parses requests strictly, asks the `ControlBackend`, writes documents. Knows nothing of jobs.
/// Threads: one NIO thread, started by `start` and ended by `stop`; Swift tasks run on it too, so the
/// process has no
/// other pool. The backend is called on that thread and must return at once.
///
/// *Diagnostics*: a bad request is the client's (4xx) and never stops the server. A socket that cannot be
/// had is
/// a `ControlServerError` of `start`: the daemon cannot work. A reply that never comes is a 503 to that
/// client.
public final class ControlServer: Sendable {
    private let group: MultiThreadedEventLoopGroup
    private let executor: LoopExecutor
    private let server: Server<ControlChannel>
    private let serving: Task<Void, Never>
    private let finished: EventLoopFuture<Void>
    private let table: ConnectionTable
    private let pending: PendingReplies
    private let file: SocketFile
    private let identity: SocketFile.Identity?

    /// Binds, then serves. Returns once clients can connect. Blocks for milliseconds; not for the NIO thread.
    ///
    /// A socket that nobody answers on is replaced. The parent directory must exist.
    public static func start(
        settings: ControlSettings, backend: any ControlBackend, logger: Logger
    ) throws(ControlServerError) -> ControlServer {
        let file = try SocketFile(path: settings.socketPath)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        do {
            try file.checkFree(group: group)
            return try ControlServer(
                file: file, group: group, settings: settings, backend: backend, logger: logger)
        } catch {
            file.remove(nil)
            try? group.syncShutdownGracefully()  // the error at hand is the one to tell
            throw error
        }
    }

    private init(
        file: SocketFile, group: MultiThreadedEventLoopGroup, settings: ControlSettings,
        backend: any ControlBackend, logger: Logger
    ) throws(ControlServerError) {
        let loop = group.next()
        let table = ConnectionTable(limit: settings.maximumConnections)
        let pending = PendingReplies()
        let bound = loop.makePromise(of: Void.self)
        let finished = loop.makePromise(of: Void.self)
        let server = Self.server(
            on: file.temporaryPath, group: group, logger: logger,
            channel: ControlChannel(
                settings: settings, table: table,
                responder: ControlResponder(
                    backend: backend, settings: settings, pending: pending, logger: logger)),
            whenBound: { bound.succeed(()) })
        executor = LoopExecutor(loop)
        serving = Task(executorPreference: executor) {
            do { try await server.run() } catch { bound.fail(error) }
            finished.succeed(())
        }
        do { try bound.futureResult.wait() } catch {
            throw ControlServerError(.failed, "bind \(file.path): \(error)")
        }
        do { try file.publish(mode: settings.socketMode, group: settings.group) } catch {
            Self.end(
                server, serving, executor, loop: loop, table: table, pending: pending,
                finished: finished.futureResult, within: .zero)
            throw error
        }
        self.group = group
        self.server = server
        self.finished = finished.futureResult
        self.table = table
        self.pending = pending
        self.file = file
        identity = file.identity
    }

    /// Takes no new requests, lets those under way end for at most `limit`, then closes what is left.
    /// Removes the
    /// socket, ends the thread. Blocks. Call once, not from the NIO thread.
    public func stop(within limit: Duration) {
        file.remove(identity)
        Self.end(
            server, serving, executor, loop: group.next(), table: table, pending: pending, finished: finished,
            within: limit)
        try? group.syncShutdownGracefully()  // nothing is left that could fail
    }

    /// Connections that are open now.
    public var connectionCount: Int { table.count }

    private static func end(
        _ server: Server<ControlChannel>, _ serving: Task<Void, Never>, _ executor: LoopExecutor,
        loop: any EventLoop, table: ConnectionTable, pending: PendingReplies, finished: EventLoopFuture<Void>,
        within limit: Duration
    ) {
        let quiesced = loop.makePromise(of: Void.self)
        Task(executorPreference: executor) {
            do {
                try await server.shutdownGracefully()
                quiesced.succeed(())
            } catch { quiesced.fail(error) }
        }
        let timer = loop.scheduleTask(in: TimeAmount(limit)) {
            // What is still owed an answer gets 503; then whoever does not read, or does not send, is cut
            // off.
            pending.failAll()
            loop.scheduleTask(in: .milliseconds(100)) {
                serving.cancel()
                table.closeAll()
            }
        }
        // Both, so that no task is left to be resumed on a loop that has ended.
        try? finished.wait()  // succeeds always
        try? quiesced.futureResult.wait()  // closed is closed
        timer.cancel()
    }

    private static func server(
        on path: String, group: MultiThreadedEventLoopGroup, logger: Logger, channel: ControlChannel,
        whenBound: @escaping @Sendable () -> Void
    ) -> Server<ControlChannel> {
        // Hummingbird tells at info that it listens, with the temporary name: our caller says it better.
        var quiet = logger
        quiet.logLevel = max(.warning, logger.logLevel)
        return Server(
            childChannelSetup: channel,
            configuration: ServerConfiguration(address: .unixDomainSocket(path: path), backlog: 128),
            onServerRunning: { _ in whenBound() }, eventLoopGroup: group, logger: quiet)
    }
}
