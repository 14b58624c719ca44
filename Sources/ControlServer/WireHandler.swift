// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// Sits below HTTP, where bytes are seen as they come and go, and closes a connection whose client takes too long
/// (`ConnectionClock`). HTTP's own idea of idle knows neither a trickled head nor a reader that stopped reading.
///
/// Large answers go out in pieces, so that one that moves slowly is told from one that does not move.
final class WireHandler: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = IOData
    typealias OutboundOut = IOData

    private static let piece = 64 * 1024
    private let deadlines: ControlDeadlines
    private var clock: ConnectionClock
    private var context: ChannelHandlerContext?
    private var timer: (at: Duration, task: Scheduled<Void>)?

    init(_ deadlines: ControlDeadlines) {
        self.deadlines = deadlines
        clock = ConnectionClock(deadlines, openedAt: Self.now)
    }

    private static var now: Duration { .nanoseconds(Int64(clamping: NIODeadline.now().uptimeNanoseconds)) }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        arm()
    }
    func handlerRemoved(context: ChannelHandlerContext) {
        timer?.task.cancel()
        timer = nil
        self.context = nil
    }

    // What HTTP tells from above.
    func headCame(isList: Bool) {
        clock.headCame(isList: isList)
        arm()
    }
    func bodyEnded() { clock.bodyEnded() }
    func answered() {
        clock.answered(at: Self.now)
        arm()
    }

    func read(context: ChannelHandlerContext) {
        clock.wantsBytes(at: Self.now)
        arm()
        context.read()
    }
    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        clock.received(at: Self.now)
        arm()
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard case .byteBuffer(var rest) = unwrapOutboundIn(data) else {
            return context.write(data, promise: promise)
        }
        repeat {
            let count = min(rest.readableBytes, Self.piece)
            guard let slice = rest.readSlice(length: count) else { return }
            let taken = context.eventLoop.makePromise(of: Void.self)
            if rest.readableBytes == 0 { taken.futureResult.cascade(to: promise) }
            clock.sending(count, at: Self.now)
            taken.futureResult.assumeIsolated().whenComplete { _ in
                self.clock.sent(count, at: Self.now)
                self.arm()
            }
            context.write(wrapOutboundOut(.byteBuffer(slice)), promise: taken)
        } while rest.readableBytes > 0
        arm()
    }

    /// The timer never fires later than the deadline; one that fires early looks again.
    private func arm() {
        guard let context else { return }
        let deadline = clock.deadline
        if let timer, timer.at <= deadline { return }
        timer?.task.cancel()
        let wait = TimeAmount(max(.zero, deadline - Self.now))
        timer = (
            deadline, context.eventLoop.assumeIsolated().scheduleTask(in: wait) { self.fired() }
        )
    }

    private func fired() {
        timer = nil
        guard let context else { return }
        if clock.deadline <= Self.now { context.close(promise: nil) } else { arm() }
    }
}
