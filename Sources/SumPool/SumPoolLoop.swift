// SPDX-License-Identifier: Apache-2.0
// Runs on: dld-sum
// Owns: the child process `sumd`, its socket, the jobs it has
// Receives: SumCommand
// Sends: SumEvent

public import LinuxKit

public struct SumPoolLoop: ~Copyable {
    private let settings: SumPoolSettings
    private let inbox: Mailbox<SumCommand>
    private let bell: Doorbell
    private let events: @Sendable (SumEvent) -> Void
    private let heartbeat: Heartbeat

    public init(
        settings: SumPoolSettings, inbox: Mailbox<SumCommand>, bell: Doorbell,
        events: @escaping @Sendable (SumEvent) -> Void, heartbeat: Heartbeat
    ) {
        self.settings = settings
        self.inbox = inbox
        self.bell = bell
        self.events = events
        self.heartbeat = heartbeat
    }

    public mutating func run() {}
}
