// SPDX-License-Identifier: Apache-2.0

import JobModel
import LinuxKit
import SystemPackage

/// Runs on: `dld-watch`.
/// Owns: the questions to the output's file system that may block for long on a sick disk.
/// Receives: a stop.
/// Sends: `OutputCondition` to the dispatcher, when it changes.
///
/// A thread of its own so that a dead NFS server blocks this and nothing else.
struct WatchLoop: ~Copyable {
    private let place: OutputPlace
    private let bell: Doorbell
    private let isStopping: @Sendable () -> Bool
    private let report: @Sendable (OutputCondition) -> Void
    private let reserve: @Sendable () -> Int64
    private let dirMode: UInt32
    private var last: OutputCondition?
    private var isMissing: String?
    private var rounds = 0

    static let interval = Duration.seconds(2)
    /// A missing output is looked for every fifth round.
    static let missingRounds = 5

    init(
        place: OutputPlace, missing: String?, dirMode: UInt32, bell: Doorbell,
        isStopping: @escaping @Sendable () -> Bool, reserve: @escaping @Sendable () -> Int64,
        report: @escaping @Sendable (OutputCondition) -> Void
    ) {
        self.place = place
        isMissing = missing
        self.dirMode = dirMode
        self.bell = bell
        self.isStopping = isStopping
        self.reserve = reserve
        self.report = report
    }

    mutating func run() {
        while !isStopping() {
            let condition = look()
            // Free space moves all the time: told when it moved by a thousandth, or when trouble comes or goes.
            let moved =
                last.map { abs($0.freeBytes - condition.freeBytes) > max(1, $0.totalBytes / 1000) } ?? true
            if moved || condition.trouble != last?.trouble {
                last = condition
                report(condition)
            }
            rounds += 1
            _ = bell.wait(atMost: Self.interval)
        }
    }

    private mutating func look() -> OutputCondition {
        var condition = OutputCondition(freeBytes: 0, totalBytes: 0, trouble: nil)
        do {
            if isMissing != nil || rounds % Self.missingRounds == 0 {
                isMissing = try place.prepare(isNew: false, dirMode: dirMode)
            }
            if let why = isMissing {
                condition.trouble = .missing(why)
                return condition
            }
            let space = try FileSystemSpace.of(FilePath(place.root))
            condition.freeBytes = space.freeBytes
            condition.totalBytes = space.totalBytes
            condition.trouble = trouble(space)
        } catch {
            isMissing = "\(error)"
            condition.trouble = .missing("\(place.root): \(error)")
        }
        return condition
    }

    private func trouble(_ space: FileSystemSpace) -> OutputCondition.Trouble? {
        if space.isReadOnly { return .full("\(place.root) is mounted read-only") }
        if let files = space.freeFiles, files < 16 { return .full("\(place.root) has no inodes left") }
        let needed = reserve()
        if space.freeBytes < needed {
            return .full(
                "\(place.root) has \(ByteSize.format(space.freeBytes)) free, limits.min_free is "
                    + "\(ByteSize.format(needed))")
        }
        return nil
    }
}

enum OutputTroubleText {
    static func of(_ trouble: OutputCondition.Trouble) -> String {
        switch trouble {
        case .missing(let why), .full(let why): "paused: \(why)"
        }
    }
}
