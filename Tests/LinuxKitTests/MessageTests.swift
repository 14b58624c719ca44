// SPDX-License-Identifier: Apache-2.0

import Glibc
import Locking
import SystemPackage
import TestKit
import Testing

@testable import LinuxKit

/// A value that a thread leaves for the test.
final class Mutexed<Value: Sendable>: Sendable {
    private let value: Guarded<Value>
    init(_ value: Value) { self.value = Guarded(value) }
    func set(_ new: Value) { value.withLock { $0 = new } }
    func get() -> Value { value.withLock { $0 } }
}

struct DescriptorPassingTests {
    @Test func `open files go over a socket in order and arrive close on exec`() throws {
        let scratch = Scratch()
        let pair = try SocketPair(.stream)
        do {
            let files = try ["passed", "along"].map { text in
                HeldFile(try Descriptor.open(scratch.write(text, text), .readOnly))
            }
            let frame = Array("digest".utf8)
            #expect(try DescriptorPassing.send(frame.span.bytes, passing: files, over: pair.first) == 6)
        }
        var buffer = [UInt8](repeating: 0, count: 16)
        guard let received = try DescriptorPassing.receive(into: &buffer, over: pair.second) else {
            Issue.record("nothing came")
            return
        }
        #expect(received.count == 6 && buffer[..<6] == Array("digest".utf8)[...])
        #expect(received.files.allSatisfy { fcntl($0.descriptor.rawValue, F_GETFD) & FD_CLOEXEC != 0 })
        #expect(
            try received.files.map { try $0.descriptor.read(upTo: 100) }
                == ["passed", "along"].map {
                    Array($0.utf8)
                })
    }

    @Test func `bytes alone come without a descriptor, and an end is told`() throws {
        var pair = try SocketPair(.sequencedPacket, isNonBlocking: true)
        var buffer = [UInt8](repeating: 0, count: 16)
        if try DescriptorPassing.receive(into: &buffer, over: pair.second) != nil {
            Issue.record("too early")
        }
        let frame: [UInt8] = [1, 2, 3]
        #expect(try DescriptorPassing.send(frame.span.bytes, over: pair.first) == 3)
        if let received = try DescriptorPassing.receive(into: &buffer, from: 4, over: pair.second) {
            #expect(received.count == 3 && buffer[4..<7] == [1, 2, 3])
            if !received.files.isEmpty { Issue.record("a descriptor from nowhere") }
        } else {
            Issue.record("nothing came")
        }
        pair.first = try Descriptor.open("/dev/null", .readOnly)
        if let received = try DescriptorPassing.receive(into: &buffer, over: pair.second) {
            #expect(received.count == 0)
        } else {
            Issue.record("no end")
        }
        // A gone peer is an error, not a signal.
        #expect {
            _ = try DescriptorPassing.send(frame.span.bytes, over: pair.second)
        } throws: { ($0 as? SystemError)?.code == .brokenPipe }
    }

    @Test func `a message carries as many files as its limit, and one more is refused whole`() throws {
        let pair = try SocketPair(.sequencedPacket, isNonBlocking: true)
        let files = try (0...DescriptorPassing.limit).map { _ in
            HeldFile(try Descriptor.open("/dev/null", .readOnly))
        }
        let frame: [UInt8] = [1]
        #expect {
            _ = try DescriptorPassing.send(frame.span.bytes, passing: files, over: pair.first)
        } throws: { ($0 as? SystemError)?.code == .invalidArgument }
        _ = try DescriptorPassing.send(frame.span.bytes, passing: files.dropLast(), over: pair.first)
        var buffer = [UInt8](repeating: 0, count: 16)
        let received = try DescriptorPassing.receive(into: &buffer, over: pair.second)
        #expect(received?.files.count == DescriptorPassing.limit)
    }

    @Test func `a full socket would block`() throws {
        let pair = try SocketPair(.stream, isNonBlocking: true)
        let frame = [UInt8](repeating: 7, count: 65_536)
        var sent = 0
        while let count = try DescriptorPassing.send(frame.span.bytes, over: pair.first) { sent += count }
        #expect(sent > 0)
    }
}

struct HeartbeatTests {
    @Test func `a mark makes it fresh and a blocking call widens the limit`() {
        let beat = Heartbeat(name: "dld-publish")
        #expect(beat.reading().call == nil)
        #expect(beat.reading().isFresh(limit: .seconds(60)))
        let late = Heartbeat.Reading(age: .seconds(100), call: nil)
        #expect(!late.isFresh(limit: .seconds(60)))
        let inside = Heartbeat.Reading(age: .seconds(100), call: "fsync")
        #expect(inside.isFresh(limit: .seconds(60)))
        #expect(!Heartbeat.Reading(age: .seconds(601), call: "fsync").isFresh(limit: .seconds(60)))
        beat.enter("fsync")
        #expect(beat.reading().call == "fsync")
        beat.leave()
        #expect(beat.reading().call == nil)
        let answer = beat.within("rename") { beat.reading().call }
        #expect(answer == "rename")
        beat.mark()
        #expect(beat.reading().age < .seconds(60))
    }

    @Test func `a call is left when it throws`() {
        let beat = Heartbeat(name: "t")
        #expect(throws: SystemError.self) {
            try beat.within("open") { () throws(SystemError) in throw SystemError(.ioError, "open", "a") }
        }
        #expect(beat.reading().call == nil)
    }
}

struct InotifyTests {
    @Test func `closing after a write and moving in are told by name`() throws {
        let scratch = Scratch()
        scratch.folder("spool")
        var inotify = try Inotify()
        let watch = try inotify.add(
            scratch.sub("spool"), [.closedAfterWrite, .movedIn, .removed, .selfRemoved, .onlyDirectory])
        #expect(try inotify.read() == [])
        scratch.write("spool/a.txt", "x")
        scratch.write("b", "x")
        #expect(rename(scratch.sub("b").string, scratch.sub("spool/b.txt").string) == 0)
        #expect(Poll.readable([inotify.descriptor], atMost: .seconds(30)) == [true])
        var events: [Inotify.Event] = []
        while case let more = try inotify.read(), !more.isEmpty { events += more }
        #expect(events.map(\.mask) == [.closedAfterWrite, .movedIn])
        #expect(events.map(\.name) == [Array("a.txt".utf8), Array("b.txt".utf8)])
        #expect(events.allSatisfy { $0.watch == watch })
        inotify.remove(watch)
        #expect(try inotify.read().map(\.mask) == [.ignored])
        inotify.remove(watch)
    }

    @Test func `watching what is no directory fails where a directory was asked for`() throws {
        let scratch = Scratch()
        let inotify = try Inotify()
        let file = scratch.write("a", "")
        do {
            _ = try inotify.add(file, [.closedAfterWrite, .onlyDirectory])
            Issue.record("watched")
        } catch {
            #expect(error.code == .notDirectory)
        }
    }

    @Test func `an overflow and a torn record are parsed`() {
        func word(_ value: UInt32) -> [UInt8] { withUnsafeBytes(of: value) { Array($0) } }
        let overflow = word(UInt32(bitPattern: -1)) + word(UInt32(IN_Q_OVERFLOW)) + word(0) + word(0)
        let named =
            word(3) + word(UInt32(IN_MOVED_TO) | UInt32(IN_ISDIR)) + word(9) + word(8)
            + Array("ab\0\0\0\0\0\0".utf8)
        let all = Inotify.parse((overflow + named)[...])
        #expect(all.count == 2)
        #expect(all[0].mask.contains(.overflowed) && all[0].watch.rawValue == -1 && all[0].name == [])
        #expect(all[1].mask == [.movedIn, .isDirectory] && all[1].name == Array("ab".utf8))
        #expect(Inotify.parse((overflow + named).dropLast(1)).count == 1)
        #expect(Inotify.parse(named.prefix(15)).isEmpty)
        #expect(Inotify.parse((word(0) + word(0) + word(0) + word(.max))[...]).isEmpty)
    }
}

struct NotifySocketTests {
    /// A datagram socket bound to a path or an abstract name, as the service manager has one.
    private func manager(_ name: String, isAbstract: Bool) throws -> Descriptor {
        let type = Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let socket = Descriptor(owning: Glibc.socket(AF_UNIX, type, 0))
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = (isAbstract ? [0] : []) + Array(name.utf8)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let length = socklen_t(2 + bytes.count + (isAbstract ? 0 : 1))
        let status = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(socket.rawValue, $0, length) }
        }
        #expect(status == 0)
        return socket
    }

    private func receive(_ socket: borrowing Descriptor) throws -> String {
        String(decoding: try socket.read(upTo: 4096) ?? [], as: UTF8.self)
    }

    @Test func `words go as datagrams to a path`() throws {
        let scratch = Scratch()
        let manager = try manager(scratch.sub("notify").string, isAbstract: false)
        let socket = try NotifySocket(address: scratch.sub("notify").string)
        #expect(socket.isConnected)
        #expect(socket.send(.ready, .status("idle\nREADY=0\u{7}")))
        #expect(try receive(manager) == "READY=1\nSTATUS=idle READY=0 ")
        #expect(socket.send(.stopping))
        #expect(try receive(manager) == "STOPPING=1")
        #expect(socket.send(.watchdog, .extendTimeout(.milliseconds(1500)), .mainProcess(12)))
        #expect(try receive(manager) == "WATCHDOG=1\nEXTEND_TIMEOUT_USEC=1500000\nMAINPID=12")
        socket.send(.reloading)
        let lines = try receive(manager).split(separator: "\n")
        #expect(lines[0] == "RELOADING=1")
        let stamp = try #require(Int64(lines[1].dropFirst("MONOTONIC_USEC=".utf8.count)))
        #expect(stamp > 0 && stamp <= Monotonic.nanoseconds() / 1000)
    }

    @Test func `an abstract name is reached by its at sign`() throws {
        let name = "dld-test-\(UInt64.random(in: .min ... .max))"
        let manager = try manager(name, isAbstract: true)
        let socket = try NotifySocket(address: "@" + name)
        #expect(socket.send(.ready))
        #expect(try receive(manager) == "READY=1")
    }

    @Test func `without a manager nothing happens, and other addresses are refused`() throws {
        #expect(try NotifySocket(address: nil).send(.ready) == false)
        #expect(try NotifySocket(address: "").isConnected == false)
        #expect(throws: SystemError.self) { try NotifySocket(address: "vsock:2:1234") }
        #expect(throws: SystemError.self) { try NotifySocket(address: "/nowhere/notify") }
        #expect(throws: SystemError.self) {
            try NotifySocket(address: "/" + String(repeating: "x", count: 200))
        }
    }

    @Test func `a full queue loses the word and blocks nobody`() throws {
        let scratch = Scratch()
        let manager = try manager(scratch.sub("notify").string, isAbstract: false)
        let socket = try NotifySocket(address: scratch.sub("notify").string)
        var sent = 0
        while socket.send(.watchdog) { sent += 1 }
        #expect(sent > 0)
        #expect(try receive(manager) == "WATCHDOG=1")
        #expect(socket.send(.watchdog))
    }

    @Test func `the watchdog's limit counts only for its own process`() {
        #expect(WatchdogRequest.limit(microseconds: "30000000", pid: nil, ownPID: 5) == .seconds(30))
        #expect(WatchdogRequest.limit(microseconds: "30000000", pid: "5", ownPID: 5) == .seconds(30))
        #expect(WatchdogRequest.limit(microseconds: "30000000", pid: "6", ownPID: 5) == nil)
        #expect(WatchdogRequest.limit(microseconds: "0", pid: nil, ownPID: 5) == nil)
        #expect(WatchdogRequest.limit(microseconds: "x", pid: nil, ownPID: 5) == nil)
        #expect(WatchdogRequest.limit(microseconds: nil, pid: "5", ownPID: 5) == nil)
        #expect(NotifySocket.microseconds(.seconds(Int64.max)) == (1 << 40) * 1_000_000)
        #expect(NotifySocket.microseconds(.seconds(-1)) == 0)
    }
}
