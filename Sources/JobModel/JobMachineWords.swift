// SPDX-License-Identifier: Apache-2.0

// What the machine of a job is in, told, and answers.
extension JobMachine {
    public enum State: Sendable, Hashable {
        /// In the window, not started. Exits: staged, transferring, checking, summing, digesting, reading, ending,
        /// resting.
        case ready
        /// A worker has the order, to begin it when a transfer of the host has ended well. Exits: transferring, ending,
        /// resting.
        case staged
        /// A transfer is out. Exits: doubted, hopping, checking, digesting, syncing, keeping, parting, ending,
        /// resting.
        case transferring
        /// The transfer failed as it would if our own network were down: waits for that to be known.
        /// Exits: keeping, parting, ending, resting.
        case doubted(keepsPart: Bool)
        /// Redirected: waits for a slot of the target host. Exits: transferring, ending, resting.
        case hopping
        /// The file already in place is being digested (`exists = update`). Exits: transferring, ending, resting.
        case checking
        /// The part is whole; its digest is computed. Exits: syncing, reading, ending, resting.
        case digesting
        /// A list of digests is whole; its lines go into the ledger. Exits: ending.
        case reading
        /// The part's data goes to disk. Exits: committing, ending, resting.
        case syncing
        /// The name that the server gave is being claimed in the ledger. Exits: committing, ending.
        case naming
        /// `publishing` goes to disk in the ledger. Exits: renaming, ending (the ledger had ended the job before).
        case committing
        /// The part gets its final name. Exits: ending, committing (another name), numbering.
        case renaming
        /// The final name is taken: the ledger is asked for the next number. Exits: committing.
        case numbering
        /// What was received so far goes to disk, to be resumed. Exits: resting.
        case keeping(Rest)
        /// The job has failed; what was received goes to disk, for a later job to go on from. Exits: ending.
        case parting
        /// On the process pool. Exits: ending, resting.
        case summing
        /// A resting state (waiting, paused, queued) is being committed. Exits: rested.
        case resting
        /// The terminal state is being committed. Exits: ended.
        case ending
        /// Out of the window.
        case rested
        case ended
    }
    /// Where a job goes that did not end.
    public enum Rest: Sendable, Hashable { case waiting, paused, requeued }
    /// What a person or the daemon wants of a running job.
    public enum Request: Sendable, Hashable { case cancel, pause, requeue }

    public enum Event: Sendable, Hashable {
        case staged
        case started
        case sumStarted
        case redirected
        /// The attempt is over; whose fault it was is not known yet.
        case doubted(keepsPart: Bool)
        /// The final path is taken and only a digest can tell whether the file is current.
        case checkNeeded
        /// The file in place is another: fetch it after all.
        case checkDiffers
        /// Every byte is there: from the network, or of a local list of digests.
        case received(needsDigest: Bool)
        /// The part of an earlier run is whole, and its digest can tell: nothing is requested.
        case foundWhole
        case digestMatched
        case synced
        /// The same, and the file gets another name than was claimed at its start.
        case syncedForNewName
        case named
        case committed
        /// Not committed: the ledger had ended the job before.
        case disowned
        case nameTaken
        case numbered
        /// The attempt is over; what was received is worth keeping.
        case broke(Rest, keepsPart: Bool)
        case kept
        case requested(Request)
        /// The transfer that was told to stop has stopped.
        case stopped(keepsPart: Bool)
        /// The job has its terminal outcome: done, failed or cancelled.
        case concluded
        /// The job has failed, and its part is worth keeping.
        case gaveUp
        case restCommitted
        case endCommitted
    }
    public enum Action: Sendable, Hashable {
        case none
        case stopTransfer(keepsPart: Bool)
        case stopSum
        case digestPart, digestExisting, readDigests
        case startTransfer
        case queueHop
        case syncPart
        case claimName
        case commitPublishing
        case rename
        case askNumber
        case keepPart
        case commitRest(Rest)
        case commitEnd
        /// A request in a state that cannot follow it any more: the job is about to end by itself.
        case tooLate
        case leaveWindow
    }
}
