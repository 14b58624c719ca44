// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import HTTPTypes
import HummingbirdCore
import NIOCore

/// A request's body, read once from front to end. Hummingbird gives out one iterator a request, so whoever
/// wants a
/// part of the body takes it here.
struct BodyReader {
    private var iterator: RequestBody.AsyncIterator
    private let announced: Int64?
    private let isChunked: Bool
    private(set) var received: Int64 = 0
    /// The body came in whole.
    private(set) var isAtEnd = false

    init(_ request: Request) {
        iterator = request.body.makeAsyncIterator()
        announced = request.headers[.contentLength].flatMap { Int64($0) }
        isChunked = request.headers[.transferEncoding] != nil
    }

    /// nil at the end of the body. Throws where the client went away in the middle of it.
    mutating func next() async throws -> ByteBuffer? {
        guard !isAtEnd else { return nil }
        guard let buffer = try await iterator.next() else {
            // The stream also ends when the connection does: half a list must never pass for a whole one.
            if let announced, received < announced {
                throw ControlFailure.badRequest("the body was cut short")
            }
            isAtEnd = true
            return nil
        }
        received += Int64(buffer.readableBytes)
        return buffer
    }

    /// Before the first byte, where the client says how much is coming.
    func expectLength(atMost limit: Int64?) throws(ControlFailure) {
        if let limit, let announced, announced > limit { throw .listTooLarge(limit) }
    }

    /// Bodies of requests that need none mean nothing; they are read so that the next request can follow.
    mutating func skip(atMost limit: Int) async throws {
        while try await next() != nil {
            guard received <= limit else {
                throw ControlFailure.tooLarge("a body here has at most \(limit) bytes")
            }
        }
    }

    /// All of it.
    mutating func collect(atMost limit: Int) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        while let buffer = try await next() {
            guard received <= limit else {
                throw ControlFailure.tooLarge("a body here has at most \(limit) bytes")
            }
            bytes += buffer.readableBytesView
        }
        return bytes
    }

    /// What is left is known to be little, so that reading it before the answer costs nothing.
    var endsSoon: Bool {
        if isAtEnd { return true }
        guard let announced else { return !isChunked }
        return announced - received <= Int64(ControlAPI.maximumBody)
    }

    /// Reads on and drops what comes: closing a socket with bytes unread resets it, and the client would lose the
    /// answer it was given. Bounded: nobody sends for ever.
    mutating func drain() async {
        let limit = received + 256 * 1024 * 1024
        // Broken off: isAtEnd stays false and the connection is closed, which is all there is to do.
        do { while received < limit, try await next() != nil {} } catch {}
    }
}
