// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

@Suite struct DiskGovernorTests {
    private static let mib: Int64 = 1 << 20
    private static func at(_ seconds: Int64) -> MonotonicTime {
        MonotonicTime(nanoseconds: seconds * 1_000_000_000)
    }

    /// One disk, in MiB, with 100 MiB to stay free.
    private struct Rig {
        var governor = DiskGovernor(reserve: 100 << 20)
        mutating func read(
            _ free: Int64, files: Int64? = nil, isReadOnly: Bool = false, at seconds: Int64 = 1
        ) {
            governor.read(
                .output, path: "/out", device: 7,
                DiskReading(
                    freeBytes: free << 20, totalBytes: 10_000 << 20, freeFiles: files,
                    totalFiles: files.map { _ in 64_000 },
                    isReadOnly: isReadOnly), now: at(seconds))
        }
        func verdict(_ mib: Int64?) -> DiskGovernor.Verdict {
            governor.verdict(.output, needs: mib.map { $0 << 20 })
        }
        var mayStart: Bool { if case .start = verdict(nil) { true } else { false } }
    }

    @Test func `what would go below the reserve waits, and what fits goes on`() {
        var rig = Rig()
        rig.read(1000)
        #expect(rig.verdict(900) == .start)
        #expect(rig.verdict(nil) == .start)
        guard case .tooLarge(let why) = rig.verdict(901) else {
            Issue.record("it starts")
            return
        }
        #expect(why == "901.0 MiB do not fit: /out has 900.0 MiB to give (100.0 MiB stay free)")
    }

    @Test func `what is promised is not promised twice, also not over another mount of the same disk`() {
        var rig = Rig()
        let other = PartHome(Array("big".utf8))
        rig.read(1000)
        rig.governor.read(
            other, path: "/out/big", device: 7,
            DiskReading(freeBytes: 1000 << 20, totalBytes: 10_000 << 20), now: Self.at(1))
        rig.governor.promise(1, .output, bytes: 600 << 20)
        #expect(rig.verdict(300) == .start)
        #expect(rig.verdict(301) != .start)
        #expect(rig.governor.verdict(other, needs: 301 << 20) != .start)
        // Half of it is written: the reading has it.
        rig.governor.left(1, bytes: 300 << 20)
        rig.read(700)
        #expect(rig.verdict(300) == .start)
        #expect(rig.verdict(301) != .start)
        rig.governor.release(1)
        #expect(rig.verdict(600) == .start)
    }

    @Test func `small files and unknown sizes do not ask`() {
        var rig = Rig()
        rig.read(101)
        #expect(rig.governor.verdict(.output, needs: DiskGovernor.leastAsked - 1) == .start)
        #expect(rig.governor.verdict(.output, needs: 2 * Self.mib) != .start)
        #expect(rig.verdict(nil) == .start)
    }

    @Test func `a pause below the reserve ends a little above it`() {
        var rig = Rig()
        rig.read(99)
        #expect(rig.verdict(nil) == .paused("/out has 99 of 100 MiB free"))
        #expect(!rig.governor.stopsTransfers(.output))
        rig.read(101)
        #expect(!rig.mayStart)
        rig.read(107)
        #expect(rig.mayStart)
        rig.read(49)
        #expect(rig.governor.stopsTransfers(.output))
    }

    @Test func `without inodes and read-only nothing starts`() {
        var rig = Rig()
        rig.read(1000, files: 15)
        #expect(rig.verdict(nil) == .paused("/out has room for 15 more files (inodes)"))
        rig.read(1000, files: 20)
        #expect(!rig.mayStart)
        rig.read(1000, files: 32)
        #expect(rig.mayStart)
        rig.read(1000, isReadOnly: true)
        #expect(rig.verdict(nil) == .paused("/out is mounted read-only"))
        #expect(rig.governor.stopsTransfers(.output))
    }

    @Test(arguments: [DiskFault.noSpace, .quota, .readOnly, .other])
    func `a refusal pauses for five seconds, then twice as long each time, at most a minute`(fault: DiskFault)
    {
        var rig = Rig()
        rig.read(1000)
        var now: Int64 = 10
        for expected in [5, 10, 20, 40, 60, 60] as [Int64] {
            rig.governor.broke(.output, fault, "write x: refused", now: Self.at(now))
            // Others that meet the same do not make it longer.
            rig.governor.broke(.output, fault, "write y: refused", now: Self.at(now + 1))
            #expect(rig.verdict(nil) == .paused("write y: refused"))
            #expect(rig.governor.stopsTransfers(.output))
            #expect(rig.governor.nextLook == Self.at(now + expected))
            rig.governor.look(now: Self.at(now + expected - 1))
            #expect(!rig.mayStart)
            rig.governor.look(now: Self.at(now + expected))
            #expect(rig.mayStart)
            now += expected + 1
        }
        // Long quiet: from the start.
        rig.governor.broke(.output, fault, "again", now: Self.at(now + 1000))
        #expect(rig.governor.nextLook == Self.at(now + 1005))
    }

    @Test func `a full disk goes on as soon as there is room, a quota shows none`() {
        var rig = Rig()
        rig.governor.reserve = 0
        rig.read(0, at: 10)
        rig.governor.broke(.output, .noSpace, "full", now: Self.at(10))
        rig.read(0, at: 11)
        #expect(!rig.mayStart)
        rig.read(500, at: 12)
        #expect(rig.mayStart)
        rig.governor.broke(.output, .quota, "quota", now: Self.at(100))
        rig.read(900, at: 101)
        #expect(!rig.mayStart)
    }

    @Test func `one EIO is one file, three in a minute are the disk`() {
        var rig = Rig()
        rig.read(1000)
        rig.governor.broke(.output, .io, "fsync x", now: Self.at(1))
        rig.governor.broke(.output, .io, "fsync y", now: Self.at(2))
        #expect(rig.mayStart)
        rig.governor.broke(.output, .io, "fsync z", now: Self.at(90))
        #expect(rig.mayStart)
        rig.governor.broke(.output, .io, "fsync z", now: Self.at(91))
        rig.governor.broke(.output, .io, "fsync z", now: Self.at(92))
        #expect(rig.verdict(nil) == .paused("fsync z"))
    }

    @Test func `jobs passed over are looked for again once the smallest of them fits`() {
        var rig = Rig()
        rig.read(150)
        rig.governor.deny(.output, needs: 200 << 20, why: "200")
        rig.governor.deny(.output, needs: 80 << 20, why: "80")
        #expect(rig.governor.takeFitting().isEmpty)
        #expect(rig.governor.views.first?.waiting == 2)
        rig.read(180)
        #expect(rig.governor.takeFitting() == [.output])
        #expect(rig.governor.takeFitting().isEmpty)
        #expect(rig.governor.views.first?.waiting == 0)
    }

    @Test func `a mount that is not there stops its own jobs only`() {
        var rig = Rig()
        let home = PartHome(Array("big".utf8))
        rig.read(1000)
        #expect(rig.governor.verdict(home, needs: nil) == .unknown)
        rig.governor.missing(home, path: "/out/big", why: "/out/big is not mounted")
        #expect(rig.governor.verdict(home, needs: nil) == .paused("/out/big is not mounted"))
        #expect(rig.governor.stopsTransfers(home) && !rig.governor.stopsTransfers(.output))
        #expect(rig.mayStart)
    }

    @Test func `a reserve beyond all disks pauses, and stops nothing else`() {
        var governor = DiskGovernor(reserve: .max)
        governor.reserve = .max
        for seconds: Int64 in 1...3 {
            governor.read(
                .output, path: "/out", device: 7, DiskReading(freeBytes: 1 << 40, totalBytes: 1 << 50),
                now: Self.at(seconds))
            governor.promise(1, .output, bytes: 1 << 50)
            _ = governor.verdict(.output, needs: .max)
        }
        #expect(governor.pauseReason(.output) != nil)
    }
}

@Suite struct TransferBudgetTests {
    private func at(_ seconds: Int64) -> MonotonicTime { MonotonicTime(nanoseconds: seconds * 1_000_000_000) }

    @Test func `descriptors that ran out halve the transfers, once for all that met it, and it grows again`()
    {
        var budget = TransferBudget(descriptors: 1024)
        #expect(budget.limit == 484 && budget.nextLook == nil)
        budget.ranOut(active: 40, now: at(10))
        budget.ranOut(active: 40, now: at(10))
        #expect(budget.limit == 20)
        budget.look(now: at(14))
        #expect(budget.limit == 20)
        budget.look(now: at(15))
        #expect(budget.limit == 22 && budget.nextLook == at(20))
        for second in 4..<200 { budget.look(now: at(Int64(second) * 5)) }
        #expect(budget.limit == 484 && budget.nextLook == nil)
    }

    @Test(arguments: [(64, 4), (0, 1), (-1, 1), (Int.max, 8_388_580)])
    func `a limit from outside is held within reason`(descriptors: Int, expected: Int) {
        var budget = TransferBudget(descriptors: descriptors)
        #expect(budget.limit == expected)
        for second in 0..<40 { budget.ranOut(active: 3, now: at(Int64(second) * 2)) }
        #expect(budget.limit == 1)
    }
}
