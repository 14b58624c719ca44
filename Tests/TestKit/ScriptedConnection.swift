// SPDX-License-Identifier: Apache-2.0

import Glibc
import LinuxKit

/// One accepted socket: reads requests and plays replies until one of them ends it. Lives on one thread.
struct ScriptedConnection {
    let socket: Int32
    let number: Int
    let stopping: Latch
    private var buffered: [UInt8] = []
    private var ordinal = 0

    init(socket: Int32, number: Int, stopping: Latch) {
        self.socket = socket
        self.number = number
        self.stopping = stopping
        var one: Int32 = 1
        setsockopt(socket, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
    }

    mutating func run(
        _ answer: (ScriptedRequest) -> ScriptedReply?, sent: (Int) -> Void
    ) {
        var isReset = false
        loop: while let request = next(), let reply = answer(request) {
            if reply.delay > .zero, stopping.wait(atMost: reply.delay) { break }
            switch play(reply, request, sent) {
            case .keepAlive: continue
            case .reset:
                isReset = true
                break loop
            case .stall:
                waitForTheOtherSide()
                break loop
            case .close, .cut: break loop
            }
        }
        if isReset {
            // Linger of zero seconds: close sends RST instead of FIN.
            var option = linger(l_onoff: 1, l_linger: 0)
            setsockopt(socket, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
        } else {
            shutdown(socket, Int32(SHUT_WR))
        }
        close(socket)
    }

    private mutating func play(
        _ reply: ScriptedReply, _ request: ScriptedRequest, _ sent: (Int) -> Void
    ) -> ScriptedReply.Ending {
        let limit: Int? =
            switch reply.ending {
            case .keepAlive, .close: nil
            case .cut(let count), .reset(let count), .stall(let count): count
            }
        if let limit, limit < 0 { return reply.ending }
        let isHEAD = request.method == "HEAD"
        let head = reply.raw == nil ? reply.head(isHEAD: isHEAD) : []
        let body = reply.raw ?? (isHEAD ? [] : reply.payload)
        guard send(head[...]) else { return .close }
        let end = min(body.count, limit ?? body.count)
        var at = 0
        while at < end {
            var upTo = end
            if let pace = reply.pace {
                if stopping.wait(atMost: pace.every) { return .close }
                upTo = min(end, at + max(1, pace.bytes))
            }
            guard send(body[at..<upTo]) else { return .close }
            sent(upTo - at)
            at = upTo
        }
        return reply.ending
    }

    /// The next request; nil when the client has left or the server stops.
    private mutating func next() -> ScriptedRequest? {
        let mark = Array("\r\n\r\n".utf8)
        var searched = 0
        while true {
            if let end = find(mark, from: max(0, searched - 3)) {
                let head = Array(buffered[..<end])
                buffered.removeSubrange(..<(end + 4))
                ordinal += 1
                return parse(head)
            }
            searched = buffered.count
            guard waitReadable() else { return nil }
            var block = [UInt8](repeating: 0, count: 1 << 14)
            let count = recv(socket, &block, block.count, 0)
            guard count > 0 else { return nil }
            buffered.append(contentsOf: block[..<count])
        }
    }

    private func find(_ mark: [UInt8], from start: Int) -> Int? {
        guard buffered.count >= start + mark.count else { return nil }
        return (start...(buffered.count - mark.count)).first {
            Array(buffered[$0..<($0 + mark.count)]) == mark
        }
    }

    private func parse(_ head: [UInt8]) -> ScriptedRequest {
        let lines = String(decoding: head, as: UTF8.self).split(
            separator: "\r\n", omittingEmptySubsequences: true)
        let words = lines.first?.split(separator: " ") ?? []
        let headers = lines.dropFirst().compactMap { line -> (name: String, value: String)? in
            guard let colon = line.firstIndex(of: ":") else { return nil }
            let value = line[line.index(after: colon)...].drop { $0 == " " }
            return (line[..<colon].lowercased(), String(value))
        }
        return ScriptedRequest(
            number: 0, connection: number, ordinal: ordinal, method: words.first.map(String.init) ?? "",
            target: words.count > 1 ? String(words[1]) : "", headers: headers, raw: head,
            arrived: ContinuousClock.now)
    }

    private func waitReadable() -> Bool {
        var entries = [
            pollfd(fd: socket, events: Int16(POLLIN), revents: 0),
            pollfd(fd: stopping.descriptor, events: Int16(POLLIN), revents: 0),
        ]
        while true {
            let status = poll(&entries, 2, -1)
            if status > 0 { return entries[1].revents == 0 }
            if status < 0 && errno != EINTR { return false }
        }
    }

    /// Until the client leaves or the server stops; what the client sends meanwhile is thrown away.
    private func waitForTheOtherSide() {
        var block = [UInt8](repeating: 0, count: 4096)
        while waitReadable() {
            if recv(socket, &block, block.count, 0) <= 0 { return }
        }
    }

    /// False when the client has gone or the server stops.
    private func send(_ bytes: ArraySlice<UInt8>) -> Bool {
        var rest = bytes
        while !rest.isEmpty {
            var entries = [
                pollfd(fd: socket, events: Int16(POLLOUT), revents: 0),
                pollfd(fd: stopping.descriptor, events: Int16(POLLIN), revents: 0),
            ]
            guard poll(&entries, 2, -1) > 0, entries[1].revents == 0 else { return false }
            let flags = Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)
            let count = rest.withUnsafeBytes { Glibc.send(socket, $0.baseAddress, $0.count, flags) }
            if count < 0 && errno == EAGAIN { continue }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }
}
