// SPDX-License-Identifier: Apache-2.0

public import ControlAPI
public import JobModel

/// `dlctl wait`: follows one list to its end, over restarts of the daemon.
///
/// A name is followed to its id as soon as the ledger has one, so that a newer list of the same name does
/// not take
/// its place. One that lies in the spool still counts as there.
public struct ListWait {
    /// What the world looks like to a wait: sleeping, the time, and who is told of progress.
    public struct Surroundings {
        public var sleep: (Duration) -> Void
        public var now: () -> MonotonicTime
        /// Called after each look; nil: the daemon does not answer just now.
        public var progress: (ListDocument?) -> Void
        public init(
            sleep: @escaping (Duration) -> Void, now: @escaping () -> MonotonicTime,
            progress: @escaping (ListDocument?) -> Void
        ) {
            self.sleep = sleep
            self.now = now
            self.progress = progress
        }
    }

    private let client: ControlClient
    private let surroundings: Surroundings
    /// How long the daemon may be gone before the wait gives up: an upgrade of the machine, not a holiday.
    private let patience: Duration

    public init(client: ControlClient, surroundings: Surroundings, patience: Duration = .seconds(600)) {
        self.client = client
        self.surroundings = surroundings
        self.patience = patience
    }

    /// Returns when the list has ended; nil when `limit` passed before that. Throws where the list is
    /// unknown, or the
    /// daemon was never there or stays away.
    public func follow(
        _ reference: ListReference, limit: Duration?
    ) throws(ClientError) -> Answer<ListDocument>? {
        var reference = reference
        let polling = Polling(sleep: surroundings.sleep, now: surroundings.now, patience: patience)
        return try polling.follow(
            limit: limit, isOver: { $0.state.isTerminal }, progress: surroundings.progress,
            look: { () throws(ClientError) in
                let answer = try client.list(reference)
                if let id = answer.document.id { reference = .id(ListID(id)) }
                return answer
            })
    }
}

/// The words of a wait.
public enum WaitView {
    /// One line for a terminal: `hourly.txt: 85,997 of 3,000,000 done, 12 failed, 41 MB/s, about 6 h`.
    public static func progress(_ list: ListDocument?, columns: Int) -> String {
        guard let list else { return "dld does not answer; waiting for it to come back" }
        var words: String
        switch list.state {
        case .spooled: words = "waiting to be taken in"
        case .admitting, .running, .closed, .rejected:
            words = "\(Quantity.count(list.done)) of \(Quantity.count(list.total)) done"
        }
        if list.failed > 0 { words += ", \(Quantity.count(list.failed)) failed" }
        if list.paused { words += ", paused" }
        if list.state == .admitting { words += ", still being read" }
        if list.rate > 0 { words += ", " + Quantity.rate(list.rate) }
        if let left = list.secondsLeft { words += ", about " + Quantity.time(left) }
        let room = max(10, columns - TextWidth.columns(words) - 3)
        let name = TextWidth.truncated(Masking.text(list.name), to: room)
        return TextWidth.truncated("\(name): \(words)", to: max(10, columns - 1))
    }

    /// How it ended: `list 4711 hourly.txt: 12 of 3,000,000 failed, see failed/hourly.txt.results.jsonl`.
    public static func summary(_ list: ListDocument) -> String {
        let name = Masking.text([list.id.map { "list \($0)" } ?? "list", list.name].joined(separator: " "))
        guard list.state == .closed else {
            return "\(name): rejected" + (list.reason.map { ": " + Masking.text($0) } ?? "")
        }
        guard list.done < list.total else { return "\(name): all \(Quantity.count(list.total)) done" }
        var parts: [String] = []
        if list.failed > 0 { parts.append("\(Quantity.count(list.failed)) failed") }
        if list.cancelled > 0 { parts.append("\(Quantity.count(list.cancelled)) cancelled") }
        let results = list.finalName.map { ", see \(Masking.text($0)).results.jsonl" } ?? ""
        return "\(name): \(parts.joined(separator: ", ")) of \(Quantity.count(list.total))\(results)"
    }

    /// Whether `wait` exits 0.
    public static func isSuccess(_ list: ListDocument) -> Bool {
        list.state == .closed && list.done == list.total
    }
}
