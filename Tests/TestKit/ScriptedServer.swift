// SPDX-License-Identifier: Apache-2.0

import Glibc
import LinuxKit
import Locking

/// An in-process HTTP/1.1 server whose answers are data, faults included.
///
/// One thread accepts, one thread serves each connection. Replies of a path are used in turn and the last one stays;
/// an unknown path gets 404. Any thread may call; handlers run on connection threads.
public final class ScriptedServer: Sendable {
    public typealias Handler = @Sendable (ScriptedRequest) -> ScriptedReply

    enum Route: Sendable {
        case replies([ScriptedReply])
        case handler(Handler)
    }
    struct State: Sendable {
        var requests: [ScriptedRequest] = []
        var requestCount = 0
        var connections = 0
        var open = 0
        var mostOpen = 0
        var sentBodyBytes = 0
        var routes: [String: Route] = [:]
    }

    public let address: String
    public let port: UInt16
    private let listener: Int32
    let stopping = Latch()
    let state = Guarded(State())
    private let accepting = Guarded<WorkerThread?>(nil)
    /// Threads that serve a connection.
    private let serving = Count()

    /// - Parameter port: 0 for any that is free.
    public init(address: String = "127.0.0.1", port: UInt16 = 0) throws {
        guard let (listener, port) = FreePort.bound(address, port: port) else {
            throw KitError.system("bind \(address)")
        }
        guard listen(listener, 512) == 0 else { throw KitError.system("listen") }
        self.address = address
        self.port = port
        self.listener = listener
        // A strong reference would keep the server alive for ever; the thread needs only what outlives it.
        let box = WeakServer(self)
        let stopping = stopping
        let thread = WorkerThread(name: "test-accept") {
            while let socket = ScriptedServer.accept(listener, until: stopping) {
                guard let server = box.value else {
                    close(socket)
                    return
                }
                server.serve(socket)
            }
        }
        accepting.withLock { $0 = thread }
    }

    deinit { stop() }

    /// Ends all connections and waits for all threads; the port refuses from then on. May be called again.
    public func stop() {
        stopping.open()
        guard let thread = accepting.withLock({ $0.take() }) else { return }
        // Let go of last by the thread itself, which was serving just then.
        if thread.isCurrent { thread.abandon() } else { thread.join() }
        close(listener)
        // Nobody joins them, for a server that a route's own closure keeps alive is never stopped.
        while serving.value.withLock({ $0 > 0 }) { usleep(1000) }
    }

    /// `http://ADDRESS:PORT/PATH`
    public func url(_ path: String) -> String {
        "http://\(address):\(port)\(path.hasPrefix("/") ? path : "/\(path)")"
    }

    /// Replies in turn; the last one stays. Replaces what the path had.
    public func route(_ path: String, _ replies: ScriptedReply...) { set(path, .replies(replies)) }
    public func route(_ path: String, _ replies: [ScriptedReply]) { set(path, .replies(replies)) }
    /// A reply made from the request, on the connection's thread.
    public func route(_ path: String, _ handler: @escaping Handler) { set(path, .handler(handler)) }
    /// An honest file.
    public func route(_ path: String, _ file: ScriptedFile) { set(path, .handler { file.reply(to: $0) }) }
    /// An honest file, but the server's very first answer stands still after so many bytes.
    public func route(_ path: String, _ file: ScriptedFile, firstStallsAfter bytes: Int) {
        route(path) { request in
            var reply = file.reply(to: request)
            if request.number == 1 { reply.ending = .stall(after: bytes) }
            return reply
        }
    }
    /// For every path without a route of its own.
    public func routeAll(_ handler: @escaping Handler) { set("*", .handler(handler)) }

    private func set(_ path: String, _ route: Route) { state.withLock { $0.routes[path] = route } }

    /// All requests so far, in the order read.
    public var requests: [ScriptedRequest] { state.withLock { $0.requests } }
    public func requests(_ path: String) -> [ScriptedRequest] { requests.filter { $0.path == path } }
    public func count(_ path: String) -> Int { requests(path).count }
    /// Connections accepted so far.
    public var connectionCount: Int { state.withLock { $0.connections } }
    /// Connections open now, and the most there ever were at once.
    public var openConnections: Int { state.withLock { $0.open } }
    public var mostOpenConnections: Int { state.withLock { $0.mostOpen } }
    /// Bytes of bodies handed to the kernel so far.
    public var sentBodyBytes: Int { state.withLock { $0.sentBodyBytes } }
    public func forgetRequests() { state.withLock { $0.requests = [] } }

    func reply(to request: ScriptedRequest) -> ScriptedReply {
        var request = request
        let route: Route? = state.withLock { state in
            state.requestCount += 1
            request.number = state.requestCount
            state.requests.append(request)
            let key = state.routes[request.path] != nil ? request.path : "*"
            guard case .replies(let replies)? = state.routes[key] else { return state.routes[key] }
            if replies.count > 1 { state.routes[key] = .replies(Array(replies.dropFirst())) }
            return .replies(Array(replies.prefix(1)))
        }
        switch route {
        case .replies(let replies): return replies.first ?? ScriptedReply(404)
        case .handler(let handler): return handler(request)
        case nil: return ScriptedReply(404)
        }
    }

    /// nil when the server stops.
    private static func accept(_ listener: Int32, until stopping: Latch) -> Int32? {
        while true {
            var entries = [
                pollfd(fd: listener, events: Int16(POLLIN), revents: 0),
                pollfd(fd: stopping.descriptor, events: Int16(POLLIN), revents: 0),
            ]
            guard poll(&entries, 2, -1) > 0 else { continue }
            if entries[1].revents != 0 { return nil }
            let socket = Glibc.accept(listener, nil, nil)
            if socket >= 0 {
                _ = fcntl(socket, F_SETFD, FD_CLOEXEC)
                return socket
            }
        }
    }

    private func serve(_ socket: Int32) {
        let number = state.withLock { state in
            state.connections += 1
            state.open += 1
            state.mostOpen = max(state.mostOpen, state.open)
            return state.connections
        }
        let box = WeakServer(self)
        let stopping = stopping
        let serving = serving
        serving.value.withLock { $0 += 1 }
        WorkerThread(name: "test-serve") {
            var connection = ScriptedConnection(socket: socket, number: number, stopping: stopping)
            connection.run { request in
                box.value?.reply(to: request)
            } sent: { count in
                box.value?.state.withLock { $0.sentBodyBytes += count }
            }
            box.value?.state.withLock { $0.open -= 1 }
            serving.value.withLock { $0 -= 1 }
        }.abandon()
    }
}

/// Outlives the server that counts by it.
private final class Count: Sendable {
    let value = Guarded(0)
}

/// A weak reference that may cross threads.
private struct WeakServer: Sendable {
    weak let value: ScriptedServer?
    init(_ value: ScriptedServer) { self.value = value }
}
