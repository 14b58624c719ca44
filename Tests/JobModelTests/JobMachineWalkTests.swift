// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

/// splitmix64: the same walk for the same seed, everywhere.
struct WalkRandom: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

/// Random lives that send only what a state may meet.
@Suite struct JobMachineWalkTests {
    private static let rests: [JobMachine.Rest] = [.waiting, .paused, .requeued]
    private static let wishes: [JobMachine.Event] = [
        .requested(.cancel), .requested(.pause), .requested(.requeue),
    ]

    /// Written from the states' documented exits, not from the machine's code.
    private static func legal(_ state: JobMachine.State) -> [JobMachine.Event] {
        let broke = rests.flatMap {
            [.broke($0, keepsPart: false), .broke($0, keepsPart: true)] as [JobMachine.Event]
        }
        let plain = rests.map { JobMachine.Event.broke($0, keepsPart: false) }
        let stopped: [JobMachine.Event] = [.stopped(keepsPart: false), .stopped(keepsPart: true)]
        let received: [JobMachine.Event] = [.received(needsDigest: false), .received(needsDigest: true)]
        switch state {
        case .ready:
            return [.staged, .started, .sumStarted, .foundWhole, .checkNeeded, .concluded] + received + plain
                + wishes
        case .staged: return [.started] + stopped + wishes
        case .transferring:
            let doubted: [JobMachine.Event] = [.doubted(keepsPart: false), .doubted(keepsPart: true)]
            return [.redirected, .checkNeeded, .concluded, .gaveUp] + received + broke + stopped + doubted
                + wishes
        case .doubted: return [.concluded, .gaveUp] + broke + wishes
        case .hopping: return [.started, .concluded] + plain + wishes
        case .checking: return [.checkDiffers, .concluded] + plain + wishes
        case .digesting: return [.digestMatched, .concluded] + plain + wishes
        case .reading: return [.concluded] + wishes
        case .syncing: return [.synced, .syncedForNewName, .concluded] + plain + wishes
        case .naming: return [.named, .concluded] + wishes
        case .committing: return [.committed, .disowned] + wishes
        case .renaming: return [.nameTaken, .concluded] + plain + wishes
        case .numbering: return [.numbered] + wishes
        case .keeping, .parting: return [.kept] + wishes
        case .summing: return [.stopped(keepsPart: false), .concluded] + plain + wishes
        case .resting: return [.restCommitted] + wishes
        case .ending: return [.endCommitted] + wishes
        case .rested, .ended: return []
        }
    }

    /// What one life did, counted.
    private struct Tally {
        var actions: [JobMachine.Action] = []
        /// How often the ledger refused a publish: what it had asked for is not renamed.
        var disowned = 0
        func count(_ wanted: (JobMachine.Action) -> Bool) -> Int { actions.filter(wanted).count }
        func isRest(_ action: JobMachine.Action) -> Bool {
            if case .commitRest = action { true } else { false }
        }
        var rests: Int { count(isRest) }
        var ends: Int { count { $0 == .commitEnd } }
    }

    @Test(arguments: [1, 2, 3, 4, 5] as [UInt64])
    func `a random life commits exactly once and renames nothing uncommitted`(seed: UInt64) {
        var random = WalkRandom(seed: seed)
        for _ in 0..<2000 {
            let tally = live(&random)
            #expect(tally.rests + tally.ends == 1)
            #expect(tally.count { $0 == .leaveWindow } == 1)
            #expect(tally.actions.last == .leaveWindow)
            let renames = tally.count { $0 == .rename }
            #expect(renames == tally.count { $0 == .commitPublishing } - tally.disowned)
            #expect(tally.count { $0 == .askNumber } <= renames)
        }
    }

    private func live(_ random: inout WalkRandom) -> Tally {
        var machine = JobMachine()
        var tally = Tally()
        while machine.state != .ended, machine.state != .rested {
            let before = machine.state
            guard let event = Self.legal(before).randomElement(using: &random) else { break }
            let action = machine.handle(event)
            if event == .disowned { tally.disowned += 1 }
            tally.actions.append(action)
            check(action, of: event, from: before, machine)
        }
        return tally
    }

    private func check(
        _ action: JobMachine.Action, of event: JobMachine.Event, from before: JobMachine.State,
        _ machine: JobMachine
    ) {
        switch action {
        case .tooLate, .none:
            if case .requested = event { #expect(machine.state == before) }
        case .keepPart:
            var copy = machine
            if case .parting = machine.state {
                #expect(copy.handle(.kept) == .commitEnd)
                return
            }
            guard case .keeping(let rest) = machine.state else {
                Issue.record("keepPart leads to \(machine.state)")
                return
            }
            #expect(copy.handle(.kept) == .commitRest(rest))
            #expect(copy.state == .resting)
        case .commitRest: #expect(machine.state == .resting)
        case .commitEnd: #expect(machine.state == .ending)
        case .leaveWindow: #expect(before == .resting || before == .ending)
        case .syncPart: #expect(machine.state == .syncing)
        case .readDigests: #expect(machine.state == .reading)
        case .rename: #expect(before == .committing)
        case .claimName: #expect(before == .syncing)
        case .stopTransfer: #expect(before == .transferring || before == .staged)
        case .stopSum: #expect(before == .summing)
        case .digestPart, .digestExisting, .startTransfer, .queueHop, .commitPublishing, .askNumber: break
        }
    }
}
