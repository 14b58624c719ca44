// SPDX-License-Identifier: Apache-2.0

import HummingbirdCore
import Logging
import NIOCore

/// A connection to the control socket: HTTP within deadlines, or, where too many are open, 503 and closed.
///
/// Hummingbird's own cap stops accepting instead, and the client beyond it hangs without a word. A setup that fails
/// would take the listening socket with it, so none ever does.
struct ControlChannel: ServerChildChannel {
    enum Value: ServerChildChannelValue {
        case served(HTTP1Channel.Value)
        case refused(any Channel)
        var channel: any Channel {
            switch self {
            case .served(let value): value.channel
            case .refused(let channel): channel
            }
        }
    }

    let http: HTTP1Channel
    let table: ConnectionTable
    let deadlines: ControlDeadlines

    init(settings: ControlSettings, table: ConnectionTable, responder: ControlResponder) {
        self.table = table
        deadlines = settings.deadlines
        http = HTTP1Channel(
            responder: { request, writer, channel in
                try await responder.respond(to: request, writer: writer, channel: channel)
            },
            configuration: HTTP1Channel.Configuration(
                additionalChannelHandlers: [ExchangeHandler()],
                httpDecoderConfiguration: .init(
                    maxHeaderFieldSize: 16 * 1024, maxHeaderListSize: 32 * 1024, maxHeaderFieldCount: 100)))
    }

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        let loop = channel.eventLoop
        let admission = table.admit(channel)
        do {
            if case .refused(let isFirst, let waits) = admission {
                if isFirst { logger.warning("control socket: too many connections, the next are refused") }
                try channel.pipeline.syncOperations.addHandler(RefusalHandler(waits: waits))
                return loop.makeSucceededFuture(.refused(channel))
            }
            try channel.pipeline.syncOperations.addHandler(WireHandler(deadlines))
        } catch {
            return dropped(channel)
        }
        return http.setup(channel: channel, logger: logger).map { .served($0) }
            .flatMapError { _ in dropped(channel) }
    }

    private func dropped(_ channel: any Channel) -> EventLoopFuture<Value> {
        channel.close(promise: nil)
        return channel.eventLoop.makeSucceededFuture(.refused(channel))
    }

    func handle(value: Value, logger: Logger) async {
        if case .served(let value) = value { await http.handle(value: value, logger: logger) }
    }
}

/// Says 503 once and closes. Up to a limit of them first wait for the request, for a second at most: whoever is still
/// sending when the other end closes hears of a broken pipe before it has read the answer.
private final class RefusalHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private static let answer: ByteBuffer = {
        let body = ControlFailure.unavailable("too many connections to the control socket").json
        let head =
            "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 1\r\n"
            + "Connection: close\r\nContent-Length: \(body.count)\r\n\r\n"
        return ByteBuffer(bytes: Array(head.utf8) + body)
    }()
    private let waits: Bool

    init(waits: Bool) { self.waits = waits }

    func channelActive(context: ChannelHandlerContext) {
        context.writeAndFlush(wrapOutboundOut(Self.answer)).assumeIsolated().whenComplete { _ in
            guard self.waits else { return context.close(promise: nil) }
            context.close(mode: .output, promise: nil)
            let channel = context.channel
            channel.eventLoop.scheduleTask(in: .seconds(1)) { channel.close(promise: nil) }
        }
    }
    func channelRead(context: ChannelHandlerContext, data: NIOAny) { context.close(promise: nil) }
    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed? = event as? ChannelEvent { context.close(promise: nil) }
    }
}
