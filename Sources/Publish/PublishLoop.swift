// SPDX-License-Identifier: Apache-2.0

// Runs on: dld-publish, and a second thread for large files, each with a loop of its own.
// Owns: the open output and parts directories; the group in hand.
// Receives: PublishCommand, through its mailbox.
// Sends: PublishEvent, in batches, through the closure it was given.

import JobModel
public import LinuxKit
import SystemPackage

/// Publishing: data fsynced, then, on another command once the ledger has committed `publishing`, renamed and
/// the directories fsynced. A file is never read here; digests are the sum processes' work.
///
/// All that waits in the mailbox is one group, and a group shares its fsyncs: while one is under way the next
/// gathers. Within a group parts are renamed first, for then the sync of the others' data makes those names durable
/// with it. The events of each kind go out as soon as they stand.
///
/// *Diagnostics*: every trouble is an event of one job. `.disk` errors are the machine's, not the job's: the
/// dispatcher pauses on them. A directory that is missing, replaced or unmounted fails each command and is
/// looked for again at the next one. Nothing here stops the daemon.
public struct PublishLoop: ~Copyable {
    private let settings: PublishSettings
    private let inbox: Mailbox<PublishCommand>
    private let bell: Doorbell
    private let events: @Sendable ([PublishEvent]) -> Void
    private let heartbeat: Heartbeat
    private var place: PublishPlace?
    private var sync: PartSync
    private var rename: PartRename

    /// Opens nothing yet. The mailbox's wake must ring `bell`.
    /// - Parameter events: called on this loop's thread; must not block.
    public init(
        settings: PublishSettings, inbox: Mailbox<PublishCommand>, bell: Doorbell,
        events: @escaping @Sendable ([PublishEvent]) -> Void, heartbeat: Heartbeat
    ) {
        self.settings = settings
        self.inbox = inbox
        self.bell = bell
        self.events = events
        self.heartbeat = heartbeat
        sync = PartSync(settings: settings, heartbeat: heartbeat)
        rename = PartRename(settings: settings, heartbeat: heartbeat)
    }

    /// Until `stop`.
    public mutating func run() {
        // Before the first part is written: what goes wrong with any of them is told to this descriptor.
        _ = attach()
        while true {
            heartbeat.mark()
            let commands = inbox.drain()
            if commands.isEmpty {
                // Bounded, so that an idle thread still shows that it lives.
                _ = bell.wait(atMost: .seconds(5))
                continue
            }
            let group = CommandGroup(commands)
            work(on: group)
            if group.stops { return }
        }
    }

    private mutating func work(on group: CommandGroup) {
        guard let place = attach() else {
            refuse(group)
            return
        }
        for home in group.homes {
            // Not there: whoever needs it finds out.
            do throws(SystemError) { _ = try place.parts(home) } catch {}
        }
        let renaming = rename.begin(group.renames, in: place)
        let synced = sync.run(group.syncs, in: place, besides: renaming.directories.count)
        if !synced.isEmpty { events(synced) }
        let renamed = rename.finish(renaming, in: place, isOutputSynced: sync.coversOutput)
        if !renamed.isEmpty { events(renamed) }
        if !group.keeps.isEmpty {
            events(group.keeps.map { .kept($0.seq, sync.keep($0.partName, $0.home, in: place)) })
        }
        // Last, and each told at once: they may take long, and nobody waits for them.
        for item in group.checkpoints {
            events([
                .checkpointed(
                    item.seq, token: item.token, sync.keep(item.partName, item.home, in: place))
            ])
            heartbeat.mark()
        }
        // One that cannot be moved goes: it may never be taken for a part.
        let refused = group.quarantines.filter { !Quarantine.take($0.part, as: $0.name, $0.home, in: place) }
        for (name, home) in group.discards + refused.map({ ($0.part, $0.home) }) {
            // A part that stays is found by fsck and by the next start; nobody waits for this.
            do throws(SystemError) {
                try unlink(FilePath(name), in: try place.parts(home).descriptor)
            } catch {}
        }
        for (time, home) in group.emptied {
            Quarantine.empty(home, before: time, in: place) { heartbeat.mark() }
        }
        heartbeat.mark()
    }

    /// The open directories, opened again where their paths lead elsewhere by now.
    ///
    /// A wrong disk mounted there does no harm: its parts directory is missing, or the parts in it are not
    /// the ones that the items name.
    private mutating func attach() -> PublishPlace? {
        if let place, place.isCurrent() { return place }
        place = nil
        do throws(SystemError) {
            place = try PublishPlace(settings)
        } catch {
            return nil
        }
        return place
    }

    private func refuse(_ group: CommandGroup) {
        let error = PublishTrouble(PublishFault.missingPlace(settings), isUntried: true)
        let answers: [PublishEvent] =
            group.syncs.map { .syncFailed($0.seq, error) }
            + group.renames.map { .renameFailed($0.seq, error) }
            + group.keeps.map { .kept($0.seq, .missed) }
            + group.checkpoints.map { .checkpointed($0.seq, token: $0.token, .missed) }
        if !answers.isEmpty { events(answers) }
    }
}

/// What a drain of the mailbox held, by kind.
private struct CommandGroup {
    var syncs: [PublishItem] = []
    var renames: [PublishItem] = []
    var keeps: [(seq: JobSeq, partName: String, home: PartHome)] = []
    var checkpoints: [(seq: JobSeq, token: UInt64, partName: String, home: PartHome)] = []
    var discards: [(name: String, home: PartHome)] = []
    var quarantines: [(part: String, name: String, home: PartHome)] = []
    var emptied: [(before: WallTime, home: PartHome)] = []
    var homes: [PartHome] = []
    var stops = false

    init(_ commands: [PublishCommand]) {
        for command in commands {
            switch command {
            case .sync(let items): syncs += items
            case .rename(let items): renames += items
            case .keep(let seq, let partName, let home): keeps.append((seq, partName, home))
            case .checkpoint(let seq, let token, let partName, let home):
                checkpoints.append((seq, token, partName, home))
            case .discard(let names, let home): discards += names.map { ($0, home) }
            case .quarantine(let part, let name, let home): quarantines.append((part, name, home))
            case .emptyQuarantine(let time, let home): emptied.append((time, home))
            case .watch(let home): homes.append(home)
            case .stop: stops = true
            }
        }
    }
}

/// A publish thread as others hold it. Any thread sends.
public final class PublishPort: Sendable {
    private let inbox: Mailbox<PublishCommand>
    private let thread: WorkerThread

    /// Starts the thread.
    /// - Parameter name: at most 15 bytes: `dld-publish`, `dld-publish-big`.
    public init(
        name: String, settings: PublishSettings, heartbeat: Heartbeat,
        events: @escaping @Sendable ([PublishEvent]) -> Void
    ) {
        let bell = Doorbell()
        let inbox = Mailbox<PublishCommand> { bell.ring() }
        self.inbox = inbox
        thread = WorkerThread(name: name) {
            var loop = PublishLoop(
                settings: settings, inbox: inbox, bell: bell, events: events, heartbeat: heartbeat)
            loop.run()
        }
    }

    /// From any thread; never blocks.
    public func send(_ command: PublishCommand) { inbox.send(command) }

    /// After `stop`: until the thread has ended. Once.
    public func join() { thread.join() }
}
