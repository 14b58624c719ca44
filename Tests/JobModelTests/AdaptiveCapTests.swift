// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

@Suite struct AdaptiveCapTests {
    @Test func `a healthy host has its whole cap from the start`() {
        var cap = AdaptiveCap()
        #expect(cap.level(of: 6) == 6)
        for _ in 0..<100 { cap.ended(.success, ceiling: 6, inFlight: 5) }
        cap.ended(.neutral, ceiling: 6, inFlight: 5)
        #expect(cap.level(of: 6) == 6 && !cap.isReduced)
    }

    @Test func `trouble halves it, once for all that was under way`() {
        var cap = AdaptiveCap()
        for left in (0..<32).reversed() { cap.ended(.trouble, ceiling: 32, inFlight: left) }
        #expect(cap.level(of: 32) == 16)
        cap.ended(.trouble, ceiling: 32, inFlight: 0)
        #expect(cap.level(of: 32) == 8)
    }

    @Test func `it never goes below one`() {
        var cap = AdaptiveCap()
        for _ in 0..<10 { cap.ended(.trouble, ceiling: 3, inFlight: 0) }
        #expect(cap.level(of: 3) == 1)
        #expect(cap.level(of: 0) == 1)
    }

    @Test func `each window of successes adds a step until it is whole again`() {
        var cap = AdaptiveCap()
        cap.ended(.trouble, ceiling: 6, inFlight: 0)
        var levels: [Int] = []
        for _ in 0..<12 {
            cap.ended(.success, ceiling: 6, inFlight: 2)
            levels.append(cap.level(of: 6))
        }
        #expect(levels == [3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 5, 6])
        #expect(!cap.isReduced)
    }

    @Test func `a changed config counts at once`() {
        var cap = AdaptiveCap()
        cap.ended(.trouble, ceiling: 32, inFlight: 0)
        #expect(cap.level(of: 4) == 4)
        #expect(cap.level(of: 64) == 16)
    }

    /// A server that serves so many at a time and refuses the rest.
    @Test(arguments: [1, 2, 3, 4, 5] as [UInt64])
    func `against a server with less room it settles near that room`(seed: UInt64) {
        var random = WalkRandom(seed: seed)
        var cap = AdaptiveCap()
        let (ceiling, room) = (32, 10)
        var active = 0
        var served = 0
        var refused = 0
        for step in 0..<20_000 {
            if Bool.random(using: &random) {
                guard active < cap.level(of: ceiling) else { continue }
                if active < room {
                    active += 1
                } else {
                    if step > 2000 { refused += 1 }
                    cap.ended(.trouble, ceiling: ceiling, inFlight: active)
                }
            } else if active > 0 {
                active -= 1
                if step > 2000 { served += 1 }
                cap.ended(.success, ceiling: ceiling, inFlight: active)
            }
            #expect(1...ceiling ~= cap.level(of: ceiling))
        }
        #expect(served > 5000)
        #expect(refused * 8 < served, "\(refused) refused of \(served)")
    }
}
