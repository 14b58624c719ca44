// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

@Suite struct UplinkMachineTests {
    private static func time(_ seconds: Double) -> MonotonicTime {
        MonotonicTime(nanoseconds: Int64(seconds * 1_000_000_000))
    }
    private static func host(_ number: Int) -> HostKey { HostKey("h\(number).example") }
    private static let settings = UplinkMachine.Settings(downAfter: .seconds(30), giveUp: .seconds(86_400))

    /// One thing that happens, at a second, and what the machine says to it.
    enum Step: Sendable {
        case fails(UplinkSign, host: Int, at: Double, UplinkMachine.Answer)
        case looks(at: Double, UplinkMachine.News)
        case proves(at: Double, UplinkMachine.News)
    }
    struct Story: Sendable, CustomTestStringConvertible {
        let name: String
        var inPlay = 1000
        let steps: [Step]
        let isDown: Bool
        var testDescription: String { name }
    }
    private static func silence(_ hosts: ClosedRange<Int>, _ sign: UplinkSign = .noAnswer) -> [Step] {
        hosts.map { .fails(sign, host: $0, at: 0, .doubt) }
    }

    private static let stories = [
        Story(
            name: "five silent hosts and nothing else for half a minute are a dead uplink",
            steps: silence(1...5) + [.looks(at: 29, .none), .looks(at: 30, .wentDown)], isDown: true),
        Story(
            name: "names that are not resolved count like silent hosts",
            steps: silence(1...3) + silence(4...5, .noName) + [.looks(at: 31, .wentDown)], isDown: true),
        Story(
            name: "four silent hosts are four silent hosts",
            steps: silence(1...4) + [.looks(at: 30, .none), .looks(at: 60, .settled)], isDown: false),
        Story(
            name: "the same host five times is one host",
            steps: (0..<5).map { .fails(.noAnswer, host: 1, at: Double($0), .doubt) }
                + [.looks(at: 35, .none)], isDown: false),
        Story(
            name: "a fifth host after the half minute is in time while the first are still in doubt",
            steps: silence(1...4) + [
                .looks(at: 40, .none), .fails(.noAnswer, host: 5, at: 45, .doubt), .looks(at: 46, .wentDown),
            ], isDown: true),
        Story(
            name: "any answer ends the suspicion",
            steps: silence(1...9) + [.proves(at: 29, .settled), .looks(at: 31, .none)], isDown: false),
        Story(
            name: "an answer from before the first failure proves nothing",
            steps: silence(1...5) + [.proves(at: -0.2, .none), .looks(at: 30, .wentDown)], isDown: true),
        Story(
            name: "a refused connection is an answer, not a failure of the network",
            steps: [.fails(.answered, host: 1, at: 0, .charge)], isDown: false),
        Story(
            name: "stalls are kept in doubt but are no verdict",
            steps: (1...9).map { .fails(.stalled, host: $0, at: 0, .doubt) } + [
                .looks(at: 30, .none), .looks(at: 60, .settled),
            ], isDown: false),
        Story(
            name: "with fewer than five hosts in play nobody is kept waiting", inPlay: 4,
            steps: [.fails(.noAnswer, host: 1, at: 0, .charge)], isDown: false),
        Story(
            name: "no way out at all needs one host and two seconds", inPlay: 1,
            steps: [
                .fails(.noRoute, host: 1, at: 0, .doubt), .looks(at: 1, .none), .looks(at: 2, .wentDown),
            ], isDown: true),
        Story(
            name: "what fails while the network is down is forgiven",
            steps: silence(1...5) + [
                .looks(at: 30, .wentDown), .fails(.stalled, host: 7, at: 40, .forgive),
                .fails(.noAnswer, host: 8, at: 50, .forgive), .fails(.none, host: 9, at: 50, .charge),
            ], isDown: true),
        Story(
            name: "an answer brings it up again",
            steps: silence(1...5) + [.looks(at: 30, .wentDown), .proves(at: 90, .cameUp)], isDown: false),
        Story(
            name: "after give_up it is the hosts' fault, until something answers",
            steps: silence(1...5) + [
                .looks(at: 30, .wentDown), .looks(at: 86_399, .none), .looks(at: 86_400, .blamed),
                .fails(.noAnswer, host: 1, at: 86_401, .charge), .proves(at: 86_500, .cameUp),
                .fails(.noAnswer, host: 1, at: 86_501, .doubt),
            ], isDown: false),
    ]

    @Test(arguments: stories)
    func `the uplink's story is told right`(story: Story) {
        var machine = UplinkMachine(settings: Self.settings)
        for step in story.steps {
            switch step {
            case .fails(let sign, let host, let second, let answer):
                let got = machine.failed(
                    sign, at: Self.host(host), hostsInPlay: story.inPlay, now: Self.time(1000 + second))
                #expect(got == answer, "\(step)")
            case .looks(let second, let news):
                let got = machine.look(hostsInPlay: story.inPlay, now: Self.time(1000 + second))
                #expect(got == news, "\(step)")
            case .proves(let second, let news):
                #expect(machine.proved(at: Self.time(1000 + second)) == news, "\(step)")
            }
        }
        #expect((machine.downSince != nil) == story.isDown)
    }

    @Test func `a suspicion that can reach no verdict any more ends at the next look`() {
        var machine = UplinkMachine(settings: Self.settings)
        let now = Self.time(10)
        #expect(machine.failed(.noName, at: Self.host(1), hostsInPlay: 5, now: now) == .doubt)
        #expect(machine.isSuspect(Self.host(1)) && !machine.isSuspect(Self.host(2)))
        #expect(machine.nextLook == Self.time(11))
        #expect(machine.look(hostsInPlay: 4, now: Self.time(11)) == .settled)
        #expect(!machine.isSuspect(Self.host(1)) && machine.nextLook == nil)
    }

    @Test func `one probe at a time, further and further apart`() {
        var machine = UplinkMachine(settings: Self.settings)
        for number in 1...5 {
            _ = machine.failed(.noAnswer, at: Self.host(number), hostsInPlay: 9, now: Self.time(0))
        }
        #expect(machine.look(hostsInPlay: 9, now: Self.time(30)) == .wentDown)
        var now = Self.time(30)
        for wait in [1, 2, 4, 8, 16, 30, 30, 30] as [Int64] {
            #expect(machine.isProbeDue(now: now))
            machine.probeStarted()
            #expect(!machine.isProbeDue(now: now + .seconds(1000)))
            machine.probeEnded(now: now)
            #expect(!machine.isProbeDue(now: now))
            #expect(machine.nextLook == now + .seconds(wait))
            now = now + .seconds(wait)
        }
    }

    /// Whatever happens: down only after silence for long enough, and never a charge inside the window of a verdict.
    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func `a random walk never calls a speaking network dead`(seed: UInt64) {
        var random = WalkRandom(seed: seed)
        var machine = UplinkMachine(settings: Self.settings)
        var now = Self.time(0)
        var firstDoubt: MonotonicTime?
        for _ in 0..<5000 {
            now = now + .milliseconds(Int64.random(in: 0...9000, using: &random))
            switch Int.random(in: 0..<100, using: &random) {
            case 0..<2:
                let news = machine.proved(at: now)
                #expect(news == .none || machine.state == .up)
                firstDoubt = nil
            case 2..<60:
                let sign = UplinkSign.allCases.randomElement(using: &random)!
                let host = Self.host(Int.random(in: 0..<8, using: &random))
                let answer = machine.failed(sign, at: host, hostsInPlay: 8, now: now)
                if answer == .doubt, firstDoubt == nil { firstDoubt = now }
                if answer == .charge, sign != .none, sign != .answered { #expect(machine.blamedSince != nil) }
                if answer == .forgive { #expect(machine.downSince != nil) }
            case 60..<70 where machine.isProbeDue(now: now): machine.probeStarted()
            case 70..<80: machine.probeEnded(now: now)
            default: look(&machine, now, &firstDoubt)
            }
        }
    }

    private func look(
        _ machine: inout UplinkMachine, _ now: MonotonicTime, _ firstDoubt: inout MonotonicTime?
    ) {
        let wasDown = machine.downSince
        switch machine.look(hostsInPlay: 8, now: now) {
        case .wentDown:
            #expect(machine.downSince == firstDoubt)
            #expect(now - (firstDoubt ?? now) >= .seconds(2))
        case .settled: firstDoubt = nil
        case .blamed: #expect(now - (wasDown ?? now) >= .seconds(86_400))
        case .none, .cameUp: break
        }
    }
}
