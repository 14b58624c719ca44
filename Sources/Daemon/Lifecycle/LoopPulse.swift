// SPDX-License-Identifier: Apache-2.0

/// How long a loop of ours sleeps at most: an idle thread still shows that it lives.
enum LoopPulse {
    static let interval = Duration.seconds(5)
}
