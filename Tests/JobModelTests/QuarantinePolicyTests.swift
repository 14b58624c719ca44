// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

@Suite struct QuarantinePolicyTests {
    @Test(arguments: [
        (0, true, QuarantinePolicy.Verdict.queue(crashes: 1)),
        (1, true, .queue(crashes: 2)),
        (2, true, .quarantine(crashes: 3)),
        (9, true, .quarantine(crashes: 4)),
        (-1, true, .queue(crashes: 1)),
        (0, false, .queue(crashes: 0)),
        (2, false, .queue(crashes: 2)),
    ])
    func `the third crash ends a job and nothing but a crash counts`(
        before: Int, isCrash: Bool, verdict: QuarantinePolicy.Verdict
    ) {
        #expect(QuarantinePolicy.verdict(crashes: before, isCrash: isCrash) == verdict)
    }

    @Test(
        arguments: [
            ("boot", "boot", false, true),  // killed, or it died
            ("boot", "boot", true, false),  // by the watchdog
            (nil, "boot", false, false),  // a clean stop
            ("before", "boot", false, false),  // a power cut or a reboot
            ("boot", nil, false, false),  // not known: nobody is accused
            (nil, nil, false, false),
        ] as [(String?, String?, Bool, Bool)])
    func `a clean stop, a reboot and the watchdog are no crashes`(
        note: String?, boot: String?, byWatchdog: Bool, isCrash: Bool
    ) {
        #expect(QuarantinePolicy.isCrash(note: note, boot: boot, byWatchdog: byWatchdog) == isCrash)
    }

    @Test func `of many beside a poisoned job only that one reaches the third crash`() {
        // All 300 are under way in the first crash and in the second; from then on one at a time.
        var crashes = Dictionary(uniqueKeysWithValues: (0..<300).map { ($0, 0) })
        let poison = 137
        var quarantined: [Int] = []
        var ended: Set<Int> = []
        for _ in 0..<6 where !quarantined.contains(poison) {
            let open = crashes.keys.filter { !ended.contains($0) && !quarantined.contains($0) }.sorted()
            var active = open.filter { !QuarantinePolicy.runsAlone(crashes: crashes[$0] ?? 0) }
            for suspect in open where QuarantinePolicy.runsAlone(crashes: crashes[suspect] ?? 0) {
                // Its turn: the innocent end, the poisoned one takes the daemon down.
                if suspect == poison {
                    active.append(suspect)
                    break
                }
                ended.insert(suspect)
            }
            guard active.contains(poison) else { break }
            for job in active {
                switch QuarantinePolicy.verdict(crashes: crashes[job] ?? 0, isCrash: true) {
                case .queue(let count): crashes[job] = count
                case .quarantine: quarantined.append(job)
                }
            }
        }
        #expect(quarantined == [poison])
        #expect(ended.count == 137)
    }
}
