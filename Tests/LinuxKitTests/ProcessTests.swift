// SPDX-License-Identifier: Apache-2.0

import Glibc
import SystemPackage
import TestKit
import Testing

@testable import LinuxKit

struct SpawnTests {
    /// Runs a shell line and gives back what it printed.
    private func shell(
        _ line: String, environment: [String: String]? = nil, inherited: [Int32] = []
    ) throws -> (text: String, ending: LinuxKit.ChildProcess.Ending) {
        var pair = try SocketPair(.stream)
        var spawn = Spawn(executable: "/bin/sh", arguments: ["-c", line], environment: environment)
        spawn.standardOutput = .descriptor(pair.second.rawValue)
        spawn.inherited = inherited
        let child = try spawn.start()
        pair.second = try Descriptor.open("/dev/null", .readOnly)
        var bytes: [UInt8] = []
        while let more = try pair.first.read(upTo: 4096), !more.isEmpty { bytes += more }
        return (String(decoding: bytes, as: UTF8.self), try child.wait())
    }

    @Test func `a child has the descriptors named and no other`() throws {
        // Open without close-on-exec, as a careless library would.
        let leak = fcntl(0, F_DUPFD, 40)
        #expect(leak >= 40)
        defer { close(leak) }
        let pair = try SocketPair(.stream)
        // readlink, not ls: ls would show its own directory too.
        let (text, ending) = try shell(
            "for n in 0 1 2 3 4 5 6 7 8 9 \(leak); do [ -e /proc/$$/fd/$n ] && echo $n; done; exit 7",
            inherited: [pair.second.rawValue, pair.first.rawValue])
        #expect(text == "0\n1\n2\n3\n4\n")
        #expect(ending == .exited(7))
    }

    @Test func `inherited descriptors keep their order even where their numbers cross`() throws {
        let scratch = Scratch()
        let a = try Descriptor.open(scratch.write("a", "A"), .readOnly)
        let b = try Descriptor.open(scratch.write("b", "B"), .readOnly)
        let first = try shell("cat <&3; cat <&4", inherited: [a.rawValue, b.rawValue])
        #expect(first.text == "AB")
        #expect(lseek(a.rawValue, 0, SEEK_SET) == 0 && lseek(b.rawValue, 0, SEEK_SET) == 0)
        let second = try shell("cat <&3; cat <&4", inherited: [b.rawValue, a.rawValue])
        #expect(second.text == "BA")
    }

    @Test func `words of the service manager are not handed down`() throws {
        let (text, _) = try shell(
            "echo ${NOTIFY_SOCKET-none} ${WATCHDOG_USEC-none} ${WATCHDOG_PID-none} $KEPT",
            environment: [
                "NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "1", "WATCHDOG_PID": "1", "KEPT": "a=b",
            ])
        #expect(text == "none none none a=b\n")
        #expect(Environment.all()["PATH"] == Environment.value("PATH"))
    }

    @Test func `a child starts with no signal blocked or ignored and leads its group`() throws {
        let results = Mutexed<(text: String, ending: LinuxKit.ChildProcess.Ending)?>(nil)
        // On a thread of its own: the mask is the thread's.
        let thread = WorkerThread(name: "test-mask") {
            do {
                try SignalDescriptor.block([SIGUSR2, SIGHUP])
                results.set(
                    try self.shell(
                        "grep -E 'SigBlk|SigIgn' /proc/self/status; ps -o pgid= -p $$ | tr -d ' '; echo $$"))
            } catch {
                Issue.record(error)
            }
        }
        thread.join()
        let lines = (results.get()?.text ?? "").split(separator: "\n")
        #expect(lines.count == 4)
        #expect(lines[0].hasSuffix("0000000000000000"))
        // glibc itself leaves its two internal signals, 32 and 33, ignored in what posix_spawn starts.
        let ignored = UInt64(lines[1].dropFirst("SigIgn:\t".utf8.count), radix: 16)
        #expect(ignored.map { $0 & ~0x1_8000_0000 } == 0)
        #expect(lines[2] == lines[3])
    }

    @Test func `a missing executable is told by the spawner`() {
        #expect {
            _ = try Spawn(executable: "/nowhere/sumd").start()
        } throws: { error in "\(error)" == "spawn /nowhere/sumd: No such file or directory" }
    }

    @Test func `a killed child is told from one that exited`() throws {
        let child = try Spawn(executable: "/bin/sleep", arguments: ["600"]).start()
        #expect(try child.poll() == nil)
        let end = try child.openEndDescriptor()
        #expect(Poll.readable([end.rawValue], atMost: .zero) == [false])
        try child.signalGroup(SIGKILL)
        #expect(Poll.readable([end.rawValue], atMost: .seconds(30)) == [true])
        let ending = try child.poll()
        #expect(ending == .killed(signal: SIGKILL, hasDumpedCore: false))
        #expect(ending?.description == "signal 9")
    }
}

struct SignalTests {
    @Test func `a blocked signal is read as a message`() throws {
        let thread = WorkerThread(name: "test-signal") {
            do {
                try SignalDescriptor.block([SIGURG])
                let signals = try SignalDescriptor([SIGURG])
                #expect(signals.next() == nil)
                // To this thread alone: the other test threads do not block it.
                pthread_kill(pthread_self(), SIGURG)
                #expect(signals.wait(atMost: .seconds(30)) == SIGURG)
                #expect(signals.wait(atMost: .zero) == nil)
            } catch {
                Issue.record(error)
            }
        }
        thread.join()
    }
}

struct ProcessFactsTests {
    @Test func `the kernel tells memory, descriptors and limits`() throws {
        #expect(try #require(ProcessFacts.residentMemory()) > 1 << 20)
        #expect(ProcessFacts.residentMemory(of: 0x7fff_fffe) == nil)
        #expect(try #require(ProcessFacts.openDescriptors()) > 2)
        let before = try ProcessFacts.descriptorLimit()
        let after = try ProcessFacts.raiseDescriptorLimit(to: before.soft + 1)
        #expect(after == min(before.soft + 1, before.hard))
        #expect(try ProcessFacts.raiseDescriptorLimit(to: 3) == after)
        #expect(ProcessFacts.usableProcessors() >= 1)
        #expect(ProcessFacts.processorTime() > .zero)
        #expect(ProcessFacts.threadProcessorTime() >= .zero)
    }

    @Test func `a file system tells its room`() throws {
        let scratch = Scratch()
        let space = try FileSystemSpace.of(scratch.path)
        #expect(space.freeBytes > 0 && space.totalBytes >= space.freeBytes)
        #expect(!space.isReadOnly)
        let folder = try Descriptor.openDirectory(scratch.path)
        #expect(try FileSystemSpace.of(descriptor: folder.rawValue).totalBytes == space.totalBytes)
        #expect(throws: SystemError.self) { try FileSystemSpace.of(scratch.sub("none")) }
    }

    @Test func `a parent-death request tells a parent that is gone already`() throws {
        // Asked of this process with the wrong parent, then taken back.
        let thread = WorkerThread(name: "test-parent") {
            do {
                #expect(try !ParentDeathSignal.request(0, parent: 0x7fff_fffe))
                #expect(try ParentDeathSignal.request(0, parent: getppid()))
            } catch {
                Issue.record(error)
            }
        }
        thread.join()
    }
}
