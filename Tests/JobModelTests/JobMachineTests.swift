// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

/// One step of a job's life: what happens, and what must be done about it.
struct MachineStep: Sendable {
    let event: JobMachine.Event
    let action: JobMachine.Action
    init(_ event: JobMachine.Event, _ action: JobMachine.Action) {
        self.event = event
        self.action = action
    }
}

/// A legal life, from `ready` to where it ends.
struct MachineLife: Sendable, CustomTestStringConvertible {
    let name: String
    let steps: [MachineStep]
    let end: JobMachine.State
    var testDescription: String { name }

    init(_ name: String, _ end: JobMachine.State, _ steps: [MachineStep]) {
        self.name = name
        self.steps = steps
        self.end = end
    }
}

private let publishing = [
    MachineStep(.synced, .commitPublishing), MachineStep(.committed, .rename),
    MachineStep(.concluded, .commitEnd),
    MachineStep(.endCommitted, .leaveWindow),
]
private let ending = [MachineStep(.concluded, .commitEnd), MachineStep(.endCommitted, .leaveWindow)]
private func start(_ more: [MachineStep]) -> [MachineStep] { [MachineStep(.started, .none)] + more }
private func rest(_ rest: JobMachine.Rest) -> [MachineStep] { [MachineStep(.restCommitted, .leaveWindow)] }

private let lives: [MachineLife] = [
    MachineLife("a download", .ended, start([.init(.received(needsDigest: false), .syncPart)] + publishing)),
    MachineLife(
        "a digest first", .ended,
        start(
            [.init(.received(needsDigest: true), .digestPart), .init(.digestMatched, .syncPart)] + publishing)
    ),
    MachineLife(
        "a digest that differs", .ended, start([.init(.received(needsDigest: true), .digestPart)] + ending)),
    MachineLife(
        "two redirects", .ended,
        start(
            [
                .init(.redirected, .queueHop), .init(.started, .none), .init(.redirected, .queueHop),
                .init(.started, .none), .init(.received(needsDigest: false), .syncPart),
            ] + publishing)),
    MachineLife("a refused redirect", .ended, start(ending)),
    MachineLife("the name is there and that is all", .ended, ending),
    MachineLife(
        "a taken name gets a number", .ended,
        start(
            [
                .init(.received(needsDigest: false), .syncPart), .init(.synced, .commitPublishing),
                .init(.committed, .rename), .init(.nameTaken, .askNumber),
                .init(.numbered, .commitPublishing),
                .init(.committed, .rename), .init(.nameTaken, .askNumber),
                .init(.numbered, .commitPublishing),
                .init(.committed, .rename),
            ] + ending)),
    MachineLife(
        "a retry", .rested,
        start([.init(.broke(.waiting, keepsPart: false), .commitRest(.waiting))] + rest(.waiting))),
    MachineLife(
        "a retry that keeps its part", .rested,
        start(
            [.init(.broke(.waiting, keepsPart: true), .keepPart), .init(.kept, .commitRest(.waiting))]
                + rest(.waiting))),
    MachineLife(
        "a wait before any start", .rested,
        [.init(.broke(.waiting, keepsPart: true), .commitRest(.waiting))]
            + rest(.waiting)),
    MachineLife(
        "disk trouble in the sync", .rested,
        start(
            [
                .init(.received(needsDigest: false), .syncPart),
                .init(.broke(.requeued, keepsPart: false), .commitRest(.requeued)),
            ] + rest(.requeued))),
    MachineLife(
        "disk trouble in the rename", .rested,
        start(
            [
                .init(.received(needsDigest: false), .syncPart), .init(.synced, .commitPublishing),
                .init(.committed, .rename),
                .init(.broke(.requeued, keepsPart: false), .commitRest(.requeued)),
            ] + rest(.requeued))),
    MachineLife(
        "an update check that finds the file current", .ended,
        start([.init(.checkNeeded, .digestExisting)] + ending)),
    MachineLife(
        "an update check that finds another file", .ended,
        start(
            [
                .init(.checkNeeded, .digestExisting), .init(.checkDiffers, .startTransfer),
                .init(.started, .none),
                .init(.received(needsDigest: true), .digestPart), .init(.digestMatched, .syncPart),
            ] + publishing)),
    MachineLife(
        "a staged order that begins", .ended,
        [.init(.staged, .none), .init(.started, .none), .init(.received(needsDigest: false), .syncPart)]
            + publishing),
    MachineLife("a sum", .ended, [.init(.sumStarted, .none)] + ending),
    MachineLife(
        "a sum put back", .rested,
        [.init(.sumStarted, .none), .init(.broke(.requeued, keepsPart: false), .commitRest(.requeued))]
            + rest(.requeued)),
]

private let requests: [MachineLife] = [
    MachineLife(
        "cancel before the start", .ended,
        [.init(.requested(.cancel), .commitEnd), .init(.endCommitted, .leaveWindow)]),
    MachineLife(
        "pause before the start", .rested, [.init(.requested(.pause), .commitRest(.paused))] + rest(.paused)),
    MachineLife(
        "cancel a staged order", .ended,
        [
            .init(.staged, .none), .init(.requested(.cancel), .stopTransfer(keepsPart: false)),
            .init(.stopped(keepsPart: false), .commitEnd), .init(.endCommitted, .leaveWindow),
        ]),
    MachineLife(
        "take a staged order back", .rested,
        [
            .init(.staged, .none), .init(.requested(.requeue), .stopTransfer(keepsPart: true)),
            .init(.requested(.requeue), .none), .init(.stopped(keepsPart: false), .commitRest(.requeued)),
        ] + rest(.requeued)),
    MachineLife(
        "take a staged order back that has just begun", .rested,
        [
            .init(.staged, .none), .init(.requested(.requeue), .stopTransfer(keepsPart: true)),
            .init(.started, .none), .init(.stopped(keepsPart: true), .keepPart),
            .init(.kept, .commitRest(.requeued)),
        ] + rest(.requeued)),
    MachineLife(
        "pause a staged order that is whole before it hears of it", .ended,
        [
            .init(.staged, .none), .init(.requested(.pause), .stopTransfer(keepsPart: true)),
            .init(.started, .none), .init(.received(needsDigest: false), .syncPart),
        ] + publishing),
    MachineLife(
        "cancel a transfer", .ended,
        start([
            .init(.requested(.cancel), .stopTransfer(keepsPart: false)),
            .init(.stopped(keepsPart: false), .commitEnd),
            .init(.endCommitted, .leaveWindow),
        ])),
    MachineLife(
        "pause a transfer", .rested,
        start(
            [
                .init(.requested(.pause), .stopTransfer(keepsPart: true)),
                .init(.stopped(keepsPart: true), .keepPart),
                .init(.kept, .commitRest(.paused)),
            ] + rest(.paused))),
    MachineLife(
        "requeue a transfer without a validator", .rested,
        start(
            [
                .init(.requested(.requeue), .stopTransfer(keepsPart: true)),
                .init(.stopped(keepsPart: false), .commitRest(.requeued)),
            ] + rest(.requeued))),
    MachineLife(
        "a worker that stops by itself", .rested,
        start([.init(.stopped(keepsPart: false), .commitRest(.requeued))] + rest(.requeued))),
    MachineLife(
        "pause, then cancel", .ended,
        start([
            .init(.requested(.pause), .stopTransfer(keepsPart: true)), .init(.requested(.pause), .none),
            .init(.requested(.requeue), .none), .init(.requested(.cancel), .stopTransfer(keepsPart: false)),
            .init(.stopped(keepsPart: true), .commitEnd), .init(.endCommitted, .leaveWindow),
        ])),
    MachineLife(
        "cancel crosses a redirect", .ended,
        start([
            .init(.requested(.cancel), .stopTransfer(keepsPart: false)), .init(.redirected, .commitEnd),
            .init(.endCommitted, .leaveWindow),
        ])),
    MachineLife(
        "pause crosses a failure", .rested,
        start(
            [
                .init(.requested(.pause), .stopTransfer(keepsPart: true)),
                .init(.broke(.waiting, keepsPart: true), .keepPart), .init(.kept, .commitRest(.paused)),
            ] + rest(.paused))),
    MachineLife(
        "cancel comes after the last byte", .ended,
        start(
            [
                .init(.requested(.cancel), .stopTransfer(keepsPart: false)),
                .init(.received(needsDigest: false), .syncPart),
            ] + publishing)),
    MachineLife(
        "cancel a hop", .ended,
        start([
            .init(.redirected, .queueHop), .init(.requested(.cancel), .commitEnd),
            .init(.endCommitted, .leaveWindow),
        ])),
    MachineLife(
        "requeue a hop", .rested,
        start(
            [.init(.redirected, .queueHop), .init(.requested(.requeue), .commitRest(.requeued))]
                + rest(.requeued))),
    MachineLife(
        "pause during a check", .rested,
        start(
            [
                .init(.checkNeeded, .digestExisting), .init(.requested(.pause), .none),
                .init(.checkDiffers, .commitRest(.paused)),
            ] + rest(.paused))),
    MachineLife(
        "cancel a sum", .ended,
        [
            .init(.sumStarted, .none), .init(.requested(.cancel), .stopSum),
            .init(.stopped(keepsPart: false), .commitEnd),
            .init(.endCommitted, .leaveWindow),
        ]),
    MachineLife(
        "too late from the digest on", .ended,
        start([
            .init(.received(needsDigest: true), .digestPart), .init(.requested(.cancel), .tooLate),
            .init(.digestMatched, .syncPart), .init(.requested(.pause), .tooLate),
            .init(.synced, .commitPublishing),
            .init(.requested(.requeue), .tooLate), .init(.committed, .rename),
            .init(.requested(.cancel), .tooLate),
            .init(.nameTaken, .askNumber), .init(.requested(.cancel), .tooLate),
            .init(.numbered, .commitPublishing),
            .init(.committed, .rename), .init(.concluded, .commitEnd), .init(.requested(.cancel), .tooLate),
            .init(.endCommitted, .leaveWindow),
        ])),
    MachineLife(
        "too late on the way to rest", .rested,
        start([
            .init(.broke(.waiting, keepsPart: true), .keepPart), .init(.requested(.cancel), .tooLate),
            .init(.kept, .commitRest(.waiting)), .init(.requested(.cancel), .tooLate),
            .init(.restCommitted, .leaveWindow),
        ])),
]

@Suite struct JobMachineTests {
    @Test(arguments: lives + requests)
    func `every legal life takes its steps in order`(life: MachineLife) {
        var machine = JobMachine()
        for (index, step) in life.steps.enumerated() {
            #expect(machine.handle(step.event) == step.action, "step \(index + 1), \(step.event)")
        }
        #expect(machine.state == life.end)
    }

    @Test(arguments: [false, true])
    func `a list of digests is read where a file would get its name`(isLocal: Bool) {
        for needsDigest in [false, true] {
            var machine = JobMachine(readsDigests: true)
            if !isLocal { #expect(machine.handle(.started) == .none) }
            let first = machine.handle(.received(needsDigest: needsDigest))
            #expect(first == (needsDigest ? .digestPart : .readDigests))
            if needsDigest { #expect(machine.handle(.digestMatched) == .readDigests) }
            #expect(machine.handle(.requested(.cancel)) == .tooLate)
            #expect(machine.handle(.concluded) == .commitEnd)
            #expect(machine.handle(.endCommitted) == .leaveWindow)
        }
    }

    @Test func `a publish cut off by a crash goes on with its rename`() {
        var machine = JobMachine.interruptedPublish
        #expect(machine.handle(.committed) == .rename)
        #expect(machine.handle(.concluded) == .commitEnd)
        #expect(machine.handle(.endCommitted) == .leaveWindow)
    }

    @Test func `a second start of a running job stops the process`() async {
        await #expect(processExitsWith: .failure) {
            var machine = JobMachine()
            _ = machine.handle(.started)
            _ = machine.handle(.started)
        }
    }

    @Test func `a rename before the commit stops the process`() async {
        await #expect(processExitsWith: .failure) {
            var machine = JobMachine()
            _ = machine.handle(.started)
            _ = machine.handle(.received(needsDigest: false))
            _ = machine.handle(.committed)
        }
    }

    @Test func `an end before its commit cannot be skipped`() async {
        await #expect(processExitsWith: .failure) {
            var machine = JobMachine()
            _ = machine.handle(.concluded)
            _ = machine.handle(.concluded)
        }
    }

    @Test func `nothing happens to a job that has ended`() async {
        await #expect(processExitsWith: .failure) {
            var machine = JobMachine()
            _ = machine.handle(.concluded)
            _ = machine.handle(.endCommitted)
            _ = machine.handle(.requested(.cancel))
        }
    }

    @Test func `a conclusion while publishing is being committed stops the process`() async {
        await #expect(processExitsWith: .failure) {
            var machine = JobMachine.interruptedPublish
            _ = machine.handle(.concluded)
        }
    }
}
