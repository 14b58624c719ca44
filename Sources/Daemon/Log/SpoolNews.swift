// SPDX-License-Identifier: Apache-2.0

import JobModel
import Logging
import Spool

/// What the spool tells, as log lines.
enum SpoolNews {
    static func log(_ event: SpoolEvent, to logger: Logger) {
        switch event {
        case .accepted(let list, let name):
            logger.notice("list accepted", metadata: ["list": "\(list)", "name": "\(name)"])
        case .rejected(let name, let reason):
            logger.warning("list rejected", metadata: ["name": "\(name)", "reason": "\(reason)"])
        case .closed(let list, let folder):
            logger.notice("list closed", metadata: ["list": "\(list)", "folder": "\(folder)"])
        case .removed(let row):
            logger.notice(
                "list removed: it ended longer ago than retention.lists",
                metadata: ["list": "\(row.id)", "name": "\(row.name)", "entries": "\(row.position.entries)"])
        case .remark(let level, let message, let list, let file, let line):
            var facts: Logger.Metadata = ["file": "\(file)"]
            if let list { facts["list"] = "\(list)" }
            if let line { facts["line"] = "\(line)" }
            switch level {
            case .note: logger.info("\(message)", metadata: facts)
            case .warning: logger.warning("\(message)", metadata: facts)
            case .error: logger.error("\(message)", metadata: facts)
            }
        case .added, .idle, .digestsRead: break
        }
    }
}
