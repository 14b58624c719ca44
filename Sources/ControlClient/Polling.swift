// SPDX-License-Identifier: Apache-2.0

public import ControlAPI
public import JobModel

/// Asks again and again until something has ended, over restarts of the daemon.
struct Polling {
    let sleep: (Duration) -> Void
    let now: () -> MonotonicTime
    /// How long the daemon may be gone before the wait gives up: an upgrade of the machine, not a holiday.
    let patience: Duration

    /// - Parameters:
    ///   - limit: nil is returned when so much time has passed.
    ///   - look: asks once, and may remember what it learnt.
    ///   - progress: called after each look; nil: the daemon does not answer just now.
    func follow<Document>(
        limit: Duration?, isOver: (Document) -> Bool, progress: (Document?) -> Void,
        look: () throws(ClientError) -> Answer<Document>
    ) throws(ClientError) -> Answer<Document>? {
        var hasAnswered = false
        var pause = Duration.milliseconds(100)
        let end = limit.map { now() + $0 }
        var lastAnswer = now()
        while true {
            do {
                let answer = try look()
                hasAnswered = true
                lastAnswer = now()
                progress(answer.document)
                if isOver(answer.document) { return answer }
            } catch {
                // A daemon that never answered is an error at once; one that went away may come back.
                guard error.isAbsence, hasAnswered, now() - lastAnswer < patience else { throw error }
                progress(nil)
            }
            if let end, now() >= end { return nil }
            sleep(pause)
            // What is short is told of at once, what is long not asked about more than once a second.
            pause = min(pause * 2, .seconds(1))
        }
    }
}

/// `dlctl verify --wait`: follows an audit to its end.
public struct AuditWait {
    private let client: ControlClient
    private let polling: Polling
    public init(
        client: ControlClient, sleep: @escaping (Duration) -> Void, now: @escaping () -> MonotonicTime,
        patience: Duration = .seconds(600)
    ) {
        self.client = client
        polling = Polling(sleep: sleep, now: now, patience: patience)
    }

    /// Throws where there is no such audit, or the daemon was never there or stays away.
    public func follow(
        _ id: AuditID, progress: (AuditDocument?) -> Void
    ) throws(ClientError) -> Answer<AuditDocument>? {
        let client = client
        return try polling.follow(
            limit: nil, isOver: { $0.state.isTerminal }, progress: progress,
            look: { () throws(ClientError) in try client.audit(id) })
    }
}
