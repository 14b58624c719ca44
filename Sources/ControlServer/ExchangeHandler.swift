// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import HTTPTypes
import NIOCore
import NIOHTTPTypes

/// Sits above HTTP, where requests and answers are seen. Tells the `WireHandler` how far they are, answers what is
/// no HTTP with a JSON error, and closes after every error answer: whoever got one request wrong does not know what
/// the bytes behind it mean.
final class ExchangeHandler: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private var wire: WireHandler?
    /// Requests that are not answered yet.
    private var pending = 0
    private var isBodyOpen = false
    private var hasAnswerBegun = false
    /// Answers until the one that ends the connection; nil: none does yet.
    private var left: Int?
    private var isOver = false

    func handlerAdded(context: ChannelHandlerContext) {
        wire = try? context.pipeline.syncOperations.handler(type: WireHandler.self)  // added before this one
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let request):
            pending += 1
            isBodyOpen = true
            let wish = request.headerFields[.connection]?.lowercased() ?? ""
            let isLast = wish.split(separator: ",").contains { $0.filter { $0 != " " } == "close" }
            if isLast { left = left ?? pending }
            wire?.headCame(isList: request.method == .post && request.path?.hasPrefix("/v1/lists?") ?? false)
        case .body: break
        case .end:
            isBodyOpen = false
            wire?.bodyEnded()
        }
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        // What comes after the error answer that ended the connection is for nobody.
        if isOver { return promise?.fail(ChannelError.ioOnClosedChannel) ?? () }
        switch unwrapOutboundIn(data) {
        case .head(var response):
            guard response.status.kind != .informational else { break }
            hasAnswerBegun = true
            if response.status.code >= 400 || response.headerFields[.connection] == "close" { left = 1 }
            if left == 1 { response.headerFields[.connection] = "close" }
            return context.write(wrapOutboundOut(.head(response)), promise: promise)
        case .body: break
        case .end: return finish(context: context, data: data, promise: promise)
        }
        context.write(data, promise: promise)
    }

    private func finish(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        pending -= 1
        hasAnswerBegun = false
        left = left.map { $0 - 1 }
        let isLast = left == 0
        // A body still on its way is read on for a while: who sends it should get to see the answer first.
        let closesNow = isLast && (pending > 0 || !isBodyOpen)
        isOver = closesNow
        let out = context.eventLoop.makePromise(of: Void.self)
        out.futureResult.cascade(to: promise)
        out.futureResult.assumeIsolated().whenComplete { _ in
            if self.pending == 0 { self.wire?.answered() }
            if closesNow { context.close(promise: nil) }
        }
        context.write(data, promise: out)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // The connection itself broke: nobody to answer.
        guard !(error is IOError), !(error is ChannelError), !isOver else {
            return context.fireErrorCaught(error)
        }
        // Garbage behind a good request: that one is answered, then all is over.
        if pending > 0, !isBodyOpen {
            left = left ?? pending
            return
        }
        if hasAnswerBegun { return context.close(promise: nil) }
        answerGarbage(context: context)
        context.fireErrorCaught(error)
    }

    private func answerGarbage(context: ChannelHandlerContext) {
        let bytes = ControlFailure.badRequest("this is no HTTP/1.1 request").json
        isOver = true
        let head = HTTPResponse(
            status: .badRequest,
            headerFields: [
                .contentType: "application/json", .contentLength: "\(bytes.count)", .connection: "close",
            ])
        let out = context.eventLoop.makePromise(of: Void.self)
        out.futureResult.assumeIsolated().whenComplete { _ in context.close(promise: nil) }
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.write(wrapOutboundOut(.body(ByteBuffer(bytes: bytes))), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: out)
    }
}
