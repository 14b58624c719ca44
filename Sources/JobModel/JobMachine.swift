// SPDX-License-Identifier: Apache-2.0

/// The life of one job inside the dispatcher's window, from its first start to its next resting state.
///
/// Pure: no clock, no I/O. The dispatcher reports what happened and carries out the answer. Each step of the order of
/// writes is a state of its own, so that no step can be skipped: bytes whole, digest known, data on disk,
/// `publishing` committed, renamed, `done` committed.
public struct JobMachine: Sendable, Hashable {
    public private(set) var state: State = .ready
    /// What was asked of the running transfer and is not yet answered.
    public private(set) var request: Request?
    /// What comes is a list of digests: it is read into the ledger, and gets no name.
    private let readsDigests: Bool
    public init(readsDigests: Bool = false) { self.readsDigests = readsDigests }

    /// A publish that a crash cut off: `publishing` was committed, `committed` comes next.
    public static let interruptedPublish: JobMachine = {
        var machine = JobMachine()
        machine.state = .committing
        return machine
    }()

    /// What to do about an event. An event that the state cannot meet is our bug and stops the process.
    public mutating func handle(_ event: Event) -> Action {
        switch state {
        case .ready: return ready(event)
        case .staged: return staged(event)
        case .transferring: return transferring(event)
        case .doubted(let keepsPart): return doubted(event, keepsPart: keepsPart)
        case .hopping: return hopping(event)
        case .checking: return checking(event)
        case .digesting: return digesting(event)
        case .reading: return reading(event)
        case .syncing: return syncing(event)
        case .naming: return naming(event)
        case .committing: return committing(event)
        case .renaming: return renaming(event)
        case .numbering: return numbering(event)
        case .keeping(let rest): return keeping(event, then: rest)
        case .parting: return parting(event)
        case .summing: return summing(event)
        case .resting: return resting(event)
        case .ending: return ending(event)
        case .rested, .ended: illegal(event)
        }
    }

    private mutating func ready(_ event: Event) -> Action {
        switch event {
        case .staged:
            return enter(.staged, .none)
        case .started:
            return enter(.transferring, .none)
        case .sumStarted:
            return enter(.summing, .none)
        case .foundWhole:
            return enter(.digesting, .digestPart)
        case .checkNeeded:
            return enter(.checking, .digestExisting)
        case .received(let needsDigest):
            return needsDigest ? enter(.digesting, .digestPart) : whole()
        case .broke(let rest, _):
            return enter(.resting, .commitRest(rest))
        case .requested(let wish):
            request = wish
            return followRequest(keepsPart: false)
        case .concluded:
            return enter(.ending, .commitEnd)
        case .redirected, .doubted, .checkDiffers, .digestMatched, .synced,
            .syncedForNewName, .named, .committed, .nameTaken, .numbered, .kept, .stopped, .gaveUp,
            .restCommitted, .endCommitted, .disowned:
            illegal(event)
        }
    }

    private mutating func staged(_ event: Event) -> Action {
        switch event {
        case .started:
            return enter(.transferring, .none)
        case .stopped(let keepsPart):
            return followRequest(keepsPart: keepsPart)
        case .requested(let wish):
            let before = request
            request = strongest(before, wish)
            return request == before ? .none : .stopTransfer(keepsPart: request != .cancel)
        case .staged, .sumStarted, .redirected, .doubted, .checkNeeded, .checkDiffers, .received, .foundWhole,
            .digestMatched, .synced, .syncedForNewName, .named, .committed, .nameTaken, .numbered, .broke,
            .kept,
            .concluded, .gaveUp, .restCommitted, .endCommitted, .disowned:
            illegal(event)
        }
    }

    private mutating func transferring(_ event: Event) -> Action {
        switch event {
        case .redirected:
            return request == nil ? enter(.hopping, .queueHop) : followRequest(keepsPart: false)
        case .checkNeeded:
            return request == nil ? enter(.checking, .digestExisting) : followRequest(keepsPart: false)
        case .received(let needsDigest):
            // Whole is whole: a request that came too late to stop it does not throw the file away.
            request = nil
            return needsDigest ? enter(.digesting, .digestPart) : whole()
        case .broke(let rest, let keepsPart):
            return request == nil ? leave(rest, keepsPart: keepsPart) : followRequest(keepsPart: keepsPart)
        case .doubted(let keepsPart):
            return request == nil
                ? enter(.doubted(keepsPart: keepsPart), .none) : followRequest(keepsPart: keepsPart)
        case .stopped(let keepsPart):
            return followRequest(keepsPart: keepsPart)
        case .requested(let wish):
            let before = request
            request = strongest(before, wish)
            return request == before ? .none : .stopTransfer(keepsPart: request != .cancel)
        case .concluded:
            return enter(.ending, .commitEnd)
        case .gaveUp:
            return enter(.parting, .keepPart)
        case .staged, .started, .sumStarted, .checkDiffers, .foundWhole, .digestMatched, .synced,
            .syncedForNewName,
            .named, .committed, .nameTaken, .numbered, .kept, .restCommitted, .endCommitted, .disowned:
            illegal(event)
        }
    }

    private mutating func doubted(_ event: Event, keepsPart: Bool) -> Action {
        switch event {
        case .broke(let rest, let keepsPart):
            return leave(rest, keepsPart: keepsPart)
        case .requested(let wish):
            request = wish
            return followRequest(keepsPart: keepsPart)
        case .concluded:
            return enter(.ending, .commitEnd)
        case .gaveUp:
            return enter(.parting, .keepPart)
        case .staged, .started, .sumStarted, .redirected, .doubted, .checkNeeded, .checkDiffers, .received,
            .foundWhole, .digestMatched, .synced, .syncedForNewName, .named, .committed, .nameTaken,
            .numbered, .kept, .stopped, .restCommitted, .endCommitted, .disowned:
            illegal(event)
        }
    }

    private mutating func hopping(_ event: Event) -> Action {
        switch event {
        case .started:
            return enter(.transferring, .none)
        case .broke(let rest, _):
            return enter(.resting, .commitRest(rest))
        case .requested(let wish):
            request = wish
            return followRequest(keepsPart: false)
        case .concluded:
            return enter(.ending, .commitEnd)
        case .staged, .sumStarted, .redirected, .doubted, .checkNeeded, .checkDiffers, .received, .foundWhole,
            .digestMatched, .synced, .syncedForNewName, .named, .committed, .nameTaken, .numbered, .kept,
            .stopped, .gaveUp, .restCommitted, .endCommitted, .disowned:
            illegal(event)
        }
    }

    private mutating func checking(_ event: Event) -> Action {
        switch event {
        case .checkDiffers:
            return request == nil ? enter(.ready, .startTransfer) : followRequest(keepsPart: false)
        case .broke(let rest, _):
            return enter(.resting, .commitRest(rest))
        case .requested(let wish):
            request = strongest(request, wish)
            return .none
        case .concluded:
            return enter(.ending, .commitEnd)
        case .staged, .started, .sumStarted, .redirected, .doubted, .checkNeeded, .received, .foundWhole,
            .digestMatched, .synced, .syncedForNewName, .named, .committed, .nameTaken, .numbered, .kept,
            .stopped, .gaveUp, .restCommitted, .endCommitted, .disowned:
            illegal(event)
        }
    }

    private mutating func digesting(_ event: Event) -> Action {
        switch event {
        case .digestMatched:
            return whole()
        case .broke(let rest, _):
            return enter(.resting, .commitRest(rest))
        case .requested:
            return .tooLate
        case .concluded:
            return enter(.ending, .commitEnd)
        case .staged, .started, .sumStarted, .redirected, .doubted, .checkNeeded, .checkDiffers, .received,
            .foundWhole, .synced, .syncedForNewName, .named, .committed, .nameTaken, .numbered, .kept,
            .stopped, .gaveUp, .restCommitted, .endCommitted, .disowned:
            illegal(event)
        }
    }

    private mutating func reading(_ event: Event) -> Action {
        switch event {
        case .requested:
            return .tooLate
        case .concluded:
            return enter(.ending, .commitEnd)
        case .staged, .started, .sumStarted, .redirected, .doubted, .checkNeeded, .checkDiffers, .received,
            .foundWhole, .digestMatched, .synced, .syncedForNewName, .named, .committed, .nameTaken,
            .numbered, .broke, .kept, .stopped, .gaveUp, .restCommitted, .endCommitted, .disowned:
            illegal(event)
        }
    }

    private mutating func syncing(_ event: Event) -> Action {
        switch event {
        case .synced:
            return enter(.committing, .commitPublishing)
        case .syncedForNewName:
            return enter(.naming, .claimName)
        case .broke(let rest, _):
            return enter(.resting, .commitRest(rest))
        case .requested:
            return .tooLate
        case .concluded:
            return enter(.ending, .commitEnd)
        case .staged, .started, .sumStarted, .redirected, .doubted, .checkNeeded, .checkDiffers, .received,
            .foundWhole, .digestMatched, .named, .committed, .nameTaken, .numbered, .kept, .stopped, .gaveUp,
            .restCommitted, .endCommitted, .disowned:
            illegal(event)
        }
    }

    private mutating func naming(_ event: Event) -> Action {
        switch event {
        case .named:
            return enter(.committing, .commitPublishing)
        case .requested:
            return .tooLate
        case .concluded:
            return enter(.ending, .commitEnd)
        case .staged, .started, .sumStarted, .redirected, .doubted, .checkNeeded, .checkDiffers, .received,
            .foundWhole, .digestMatched, .synced, .syncedForNewName, .committed, .nameTaken, .numbered,
            .broke, .kept, .stopped, .gaveUp, .restCommitted, .endCommitted, .disowned:
            illegal(event)
        }
    }

    private mutating func committing(_ event: Event) -> Action {
        switch event {
        case .committed:
            return enter(.renaming, .rename)
        case .requested:
            return .tooLate
        case .disowned:
            return enter(.ending, .commitEnd)
        case .staged, .started, .sumStarted, .redirected, .doubted, .checkNeeded, .checkDiffers, .received,
            .foundWhole, .digestMatched, .synced, .syncedForNewName, .named, .nameTaken, .numbered, .broke,
            .kept, .stopped, .concluded, .gaveUp, .restCommitted, .endCommitted:
            illegal(event)
        }
    }

    private mutating func renaming(_ event: Event) -> Action {
        switch event {
        case .nameTaken:
            return enter(.numbering, .askNumber)
        case .broke(let rest, _):
            return enter(.resting, .commitRest(rest))
        case .requested:
            return .tooLate
        case .concluded:
            return enter(.ending, .commitEnd)
        case .staged, .started, .sumStarted, .redirected, .doubted, .checkNeeded, .checkDiffers, .received,
            .foundWhole, .digestMatched, .synced, .syncedForNewName, .named, .committed, .numbered, .kept,
            .stopped, .gaveUp, .restCommitted, .endCommitted, .disowned:
            illegal(event)
        }
    }

    private mutating func numbering(_ event: Event) -> Action {
        switch event {
        case .numbered:
            return enter(.committing, .commitPublishing)
        case .requested:
            return .tooLate
        case .staged, .started, .sumStarted, .redirected, .doubted, .checkNeeded, .checkDiffers, .received,
            .foundWhole, .digestMatched, .synced, .syncedForNewName, .named, .committed, .nameTaken, .broke,
            .kept, .stopped, .concluded, .gaveUp, .restCommitted, .endCommitted, .disowned:
            illegal(event)
        }
    }

    private mutating func keeping(_ event: Event, then rest: Rest) -> Action {
        switch event {
        case .kept:
            return enter(.resting, .commitRest(rest))
        case .requested:
            // The ledger applies it to the resting row, once that is committed.
            return .tooLate
        case .staged, .started, .sumStarted, .redirected, .doubted, .checkNeeded, .checkDiffers, .received,
            .foundWhole, .digestMatched, .synced, .syncedForNewName, .named, .committed, .nameTaken,
            .numbered, .broke, .stopped, .concluded, .gaveUp, .restCommitted, .endCommitted, .disowned:
            illegal(event)
        }
    }

    private mutating func parting(_ event: Event) -> Action {
        switch event {
        case .kept:
            return enter(.ending, .commitEnd)
        case .requested:
            return .tooLate
        case .staged, .started, .sumStarted, .redirected, .doubted, .checkNeeded, .checkDiffers, .received,
            .foundWhole, .digestMatched, .synced, .syncedForNewName, .named, .committed, .nameTaken,
            .numbered, .broke, .stopped, .concluded, .gaveUp, .restCommitted, .endCommitted, .disowned:
            illegal(event)
        }
    }

    private mutating func summing(_ event: Event) -> Action {
        switch event {
        case .broke(let rest, _):
            return enter(.resting, .commitRest(rest))
        case .stopped:
            return followRequest(keepsPart: false)
        case .requested(let wish):
            request = strongest(request, wish)
            return .stopSum
        case .concluded:
            return enter(.ending, .commitEnd)
        case .staged, .started, .sumStarted, .redirected, .doubted, .checkNeeded, .checkDiffers, .received,
            .foundWhole, .digestMatched, .synced, .syncedForNewName, .named, .committed, .nameTaken,
            .numbered, .kept, .gaveUp, .restCommitted, .endCommitted, .disowned:
            illegal(event)
        }
    }

    private mutating func resting(_ event: Event) -> Action {
        switch event {
        case .restCommitted:
            return enter(.rested, .leaveWindow)
        case .requested:
            return .tooLate
        case .staged, .started, .sumStarted, .redirected, .doubted, .checkNeeded, .checkDiffers, .received,
            .foundWhole, .digestMatched, .synced, .syncedForNewName, .named, .committed, .nameTaken,
            .numbered, .broke, .kept, .stopped, .concluded, .gaveUp, .endCommitted, .disowned:
            illegal(event)
        }
    }

    private mutating func ending(_ event: Event) -> Action {
        switch event {
        case .endCommitted:
            return enter(.ended, .leaveWindow)
        case .requested:
            return .tooLate
        case .staged, .started, .sumStarted, .redirected, .doubted, .checkNeeded, .checkDiffers, .received,
            .foundWhole, .digestMatched, .synced, .syncedForNewName, .named, .committed, .nameTaken,
            .numbered, .broke, .kept, .stopped, .concluded, .gaveUp, .restCommitted, .disowned:
            illegal(event)
        }
    }

    private func illegal(_ event: Event) -> Never {
        preconditionFailure("illegal transition: \(state) <- \(event)")
    }

    private mutating func enter(_ next: State, _ action: Action) -> Action {
        state = next
        return action
    }

    /// Every byte is there, and its digest is right if one was asked for.
    private mutating func whole() -> Action {
        readsDigests ? enter(.reading, .readDigests) : enter(.syncing, .syncPart)
    }

    private mutating func leave(_ rest: Rest, keepsPart: Bool) -> Action {
        keepsPart ? enter(.keeping(rest), .keepPart) : enter(.resting, .commitRest(rest))
    }

    /// The transfer (or sum) is over and somebody wanted it to be.
    private mutating func followRequest(keepsPart: Bool) -> Action {
        switch request {
        case .cancel: enter(.ending, .commitEnd)
        case .pause: leave(.paused, keepsPart: keepsPart)
        case .requeue, nil: leave(.requeued, keepsPart: keepsPart)
        }
    }

    /// Cancel beats pause beats requeue.
    private func strongest(_ a: Request?, _ b: Request) -> Request {
        if a == .cancel || b == .cancel { return .cancel }
        if a == .pause || b == .pause { return .pause }
        return .requeue
    }
}
