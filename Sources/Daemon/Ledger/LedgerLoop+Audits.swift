// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import JobModel
import Ledger
import LinuxKit

/// What the audit thread and the control socket have to say of audits.
extension LedgerLoop {
    func serve(
        _ request: AuditRequest, now: WallTime, replies: inout Replies
    ) throws(LedgerError) {
        let audits = ports.audits
        let id: AuditID
        switch request {
        case .make(let scope, let options, let answer):
            let row = try store.makeAudit(scope, options, now: now)
            let forgotten = try store.forgetOldAudits()
            replies.answers.append {
                answer(row)
                if !forgotten.isEmpty { audits.send(.forgotten(forgotten)) }
            }
            id = row.id
        case .act(let verb, let audit, let answer):
            id = audit
            switch verb {
            case .cancel: try store.cancel(id, now: now)
            case .pause, .resume: try store.set(id, paused: verb == .pause)
            }
            let row = try store.audit(id)
            replies.answers.append { answer(row) }
        case .begin(let audit, let files, let bytes):
            id = audit
            try store.begin(id, filesTotal: files, bytesTotal: bytes, now: now)
        case .note(let progress):
            id = progress.id
            try store.note(progress, now: now)
        case .beginRepair(let audit):
            id = audit
            try store.beginRepair(id)
        case .finish(let audit, let list, let count):
            id = audit
            try store.finish(id, repairs: list.map { ($0, count) }, now: now)
        }
        if let row = try store.audit(id) { replies.answers.append { audits.send(.row(row)) } }
    }
}
