// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

struct PieceDeadlineTests {
    @Test func `a piece may take the silence and a second for each MiB`() {
        let deadline = PieceDeadline(silence: .seconds(600))
        #expect(deadline.limit(bytes: 0) == .seconds(600))
        #expect(deadline.limit(bytes: -5) == .seconds(600))
        #expect(deadline.limit(bytes: 1 << 20) == .seconds(601))
        #expect(deadline.limit(bytes: 10 << 30) == .seconds(600 + 10_240))
        #expect(deadline.limit(bytes: .max) > .seconds(600))
        #expect(deadline.limit(bytes: 10 << 20, rate: 1 << 10) == .seconds(600 + 10 + 10_240))
        #expect(deadline.limit(bytes: .max, rate: 0) > .seconds(600))
    }
}
