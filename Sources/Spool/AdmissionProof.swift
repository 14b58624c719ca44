// SPDX-License-Identifier: Apache-2.0

import JobModel
import LinuxKit

/// A Metalink is read to its end before anything is taken from it: a text list's good lines stand whatever comes behind
/// them, but XML is well-formed as a whole or not at all.
extension AdmissionDesk {
    /// Begins to look at it.
    func startProving(_ admission: Admission) {
        do {
            guard let reader = try admission.metalink(context.settings.rules) else { return }
            admission.stage = .proving(reader)
        } catch {
            unreadable(admission, error.message)
        }
    }

    /// Looks at a part of it.
    func prove(_ admission: Admission, _ reader: MetalinkReader) {
        do {
            let slice = try reader.next()
            if let trouble = slice.trouble { throw ListRefusal(trouble) }
            guard slice.isAtEnd else { return }
            if admission.row == nil { begin(admission) } else { startReading(admission) }
        } catch let refusal as ListRefusal {
            reject(admission, refusal.reason)
        } catch ListReadError.damaged(let what) {
            reject(admission, "\(what): a .gz is taken when it is whole")
        } catch {
            unreadable(admission, (error as? ListReadError)?.message ?? "\(error)")
        }
    }

    /// Nothing can be read of it: left where it is, or what the ledger has of it goes on.
    func unreadable(_ admission: Admission, _ message: String) {
        if admission.row == nil { return fail(admission, message) }
        context.remark(.error, message, list: admission.list, file: admission.name)
        finish(admission)
    }
}
