// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Publish

@Suite struct SyncChoiceTests {
    @Test func `One file is synced by itself, and from two on one syncfs is tried`() {
        let choice = SyncChoice(threshold: 2)
        #expect(!choice.isTogether(0))
        #expect(!choice.isTogether(1))
        #expect(choice.isTogether(2))
        #expect(choice.isTogether(10_000))
    }

    @Test func `A syncfs that takes no longer than the fsyncs would is kept`() {
        var choice = SyncChoice(threshold: 2)
        choice.tookTogether(.milliseconds(5))
        choice.tookAlone(.milliseconds(4), count: 1)
        #expect(choice.isTogether(2))
        #expect(choice.isTogether(64))
    }

    @Test func `While somebody else's writes make syncfs slow, files are synced one by one`() {
        var choice = SyncChoice(threshold: 2)
        choice.tookTogether(.seconds(8))
        #expect(!choice.isTogether(40), "what an fsync takes is found out first")
        choice.tookAlone(.milliseconds(40), count: 40)
        #expect(!choice.isTogether(40))
        #expect(choice.isTogether(5_000), "a large enough group is worth the wait")
    }

    @Test func `A slow syncfs is tried again after a few groups`() {
        var choice = SyncChoice(threshold: 2)
        choice.tookTogether(.seconds(8))
        var groups = 0
        while !choice.isTogether(20) {
            choice.tookAlone(.milliseconds(20), count: 20)
            groups += 1
            #expect(groups < 12)
        }
        #expect(groups >= 5)
    }

    @Test func `One odd syncfs is forgotten after a few more`() {
        var choice = SyncChoice(threshold: 2)
        choice.tookAlone(.milliseconds(1), count: 1)
        choice.tookTogether(.milliseconds(90))
        for _ in 0..<6 { choice.tookTogether(.milliseconds(2)) }
        #expect(choice.isTogether(4))
    }
}
