// SPDX-License-Identifier: Apache-2.0
// Runs on: dld-spool.
// Owns: the spool's directories, their watch, the lists being read, the results being written.
// Receives: SpoolMessage.
// Sends: SpoolRequest (answered through the daemon), SpoolEvent.

public import JobModel
public import LinuxKit

/// Takes lists in and gives results out. Created and run inside its thread.
public struct SpoolLoop: ~Copyable {
    private let inbox: Mailbox<SpoolMessage>
    private let bell: Doorbell
    /// - Parameters:
    ///   - nextSeq: the first free number, from the ledger.
    ///   - inbox: its `wake` must ring `bell`.
    public init(
        settings: SpoolSettings, nextSeq: JobSeq, cipher: JobIDCipher, inbox: Mailbox<SpoolMessage>, bell: Doorbell,
        requests: @escaping @Sendable (SpoolRequest) -> Void, events: @escaping @Sendable (SpoolEvent) -> Void,
        heartbeat: Heartbeat
    ) {
        self.inbox = inbox
        self.bell = bell
    }

    /// Returns after `stop`. What was not acknowledged by then is done again at the next start.
    public mutating func run() {
    }
}
