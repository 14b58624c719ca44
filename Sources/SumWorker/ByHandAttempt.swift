// SPDX-License-Identifier: Apache-2.0

import JobModel
import LinuxKit

extension ByHand {
    /// What a confined process was refused.
    public struct AttemptReport: Sendable, Hashable {
        /// `openat: refused`, or what it got instead.
        public var lines: [String] = []
        public var areAllRefused = false
        /// Why there is no filter, where there is none.
        public var open: String?
    }

    /// Confines a forked process as a worker is and has it attempt what no worker may do.
    public static func attempt() throws(ByHandError) -> AttemptReport {
        do {
            let forked = try ForkedProcess.start(name: "sumd-attempt") { Self.attempts($0) }
            var link = try PacketSocket(forked.socket, packetLimit: SumFrame.packetLimit)
            var report = AttemptReport()
            var text: [UInt8] = []
            while true {
                guard let packet = try link.receive() else {
                    _ = Poll.readable([link.descriptor], atMost: nil)
                    continue
                }
                if packet.bytes.isEmpty { break }
                text += packet.bytes
            }
            let isComplete = try forked.process.wait() == .exited(0)
            let lines = String(decoding: text, as: UTF8.self).split(separator: "\n").map(String.init)
            report.lines = Array(lines.dropFirst())
            report.open = lines.first.flatMap { $0.isEmpty || $0 == "confined" ? nil : $0 }
            report.areAllRefused =
                isComplete && !report.lines.isEmpty && report.lines.allSatisfy { $0.hasSuffix(": refused") }
            return report
        } catch {
            throw .refused("\(error)")
        }
    }

    /// In the forked process. Returns its exit status.
    private static func attempts(_ socket: consuming Descriptor) -> Int32 {
        do {
            var link = try PacketSocket(socket, packetLimit: SumFrame.packetLimit)
            var text = "confined"
            if case .open(let why) = Confinement.enter(socket: link.descriptor) { text = why }
            for attempt in Confinement.attemptAll() {
                text += "\n\(attempt.call): \(attempt.isRefused ? "refused" : reason(attempt.answer))"
            }
            try link.send(Array(text.utf8))
            return 0
        } catch {
            return 74
        }
    }
}
