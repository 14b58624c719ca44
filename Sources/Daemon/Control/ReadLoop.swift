// SPDX-License-Identifier: Apache-2.0

import JobModel
import Ledger
import LinuxKit

/// Runs on: `dld-ledger-read`.
/// Owns: the read-only connection to the ledger.
/// Receives: questions of the control socket, as closures that get the reader.
/// Sends: answers, through what the closures captured.
///
/// A thread of its own, so that a page of jobs never waits for the writer nor the writer for it.
struct ReadLoop: ~Copyable {
    enum Message: Sendable {
        case ask(@Sendable (Result<LedgerReader, LedgerError>) -> Void)
        case stop
    }
    private let path: String
    private let cipher: JobIDCipher
    private let inbox: Mailbox<Message>
    private let bell: Doorbell
    private let heartbeat: Heartbeat
    private var reader: LedgerReader?

    init(path: String, cipher: JobIDCipher, inbox: Mailbox<Message>, bell: Doorbell, heartbeat: Heartbeat) {
        self.path = path
        self.cipher = cipher
        self.inbox = inbox
        self.bell = bell
        self.heartbeat = heartbeat
    }

    mutating func run() {
        while true {
            heartbeat.mark()
            for message in inbox.drain() {
                switch message {
                case .ask(let question):
                    heartbeat.enter("SQLite read")
                    question(open())
                    heartbeat.leave()
                case .stop: return
                }
            }
            if inbox.isEmpty { _ = bell.wait(atMost: LoopPulse.interval) }
        }
    }

    private mutating func open() -> Result<LedgerReader, LedgerError> {
        if let reader { return .success(reader) }
        do throws(LedgerError) {
            let fresh = try LedgerReader.open(path: path, cipher: cipher)
            reader = fresh
            return .success(fresh)
        } catch {
            return .failure(error)
        }
    }
}
