// SPDX-License-Identifier: Apache-2.0

import JobModel
import LinuxKit
import Logging

/// How log lines look.
enum LogStyle: Sendable {
    /// `<6>message key=value`: what the journal takes its priorities from (sd-daemon(3)).
    case journal
    /// `10:00:00 notice message key=value`.
    case plain
    /// One JSON object a line.
    case json
}

/// swift-log's end in dld: formats on the caller's thread, writes on `dld-log`.
struct DaemonLogHandler: LogHandler {
    private let port: LogPort
    private let style: LogStyle
    private let label: String
    /// A logger's own level, where somebody set one; else the daemon's, which a reload changes for all at once.
    private var ownLevel: Logger.Level?
    var logLevel: Logger.Level {
        get { ownLevel ?? port.currentLevel }
        set { ownLevel = newValue }
    }
    var metadata: Logger.Metadata = [:]

    init(label: String, port: LogPort, style: LogStyle) {
        self.label = label
        self.port = port
        self.style = style
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let all = metadata.merging(event.metadata ?? [:]) { $1 }
        let facts = all.sorted { $0.key < $1.key }.map { ($0.key, Masking.text("\($0.value)")) }
        let message = Masking.text(event.message.description)
        switch style {
        case .journal: port.line("<\(Self.priority(event.level))>\(message)\(Self.pairs(facts))")
        case .plain:
            let time = WallTime(milliseconds: WallClock.milliseconds()).iso8601
            port.line("\(time) \(event.level.rawValue) \(message)\(Self.pairs(facts))")
        case .json:
            var json = JSONText()
            json.object { json in
                json.field("time", WallTime(milliseconds: WallClock.milliseconds()).iso8601)
                json.field("level", event.level.rawValue)
                json.field("message", message)
                for (key, value) in facts {
                    json.key(named: key)
                    json.value(value)
                }
            }
            port.line(String(decoding: json.bytes, as: UTF8.self))
        }
    }

    private static func pairs(_ facts: [(String, String)]) -> String {
        facts.map { key, value in
            let isPlain = !value.isEmpty && value.utf8.allSatisfy { $0 > 0x20 && $0 != UInt8(ascii: "\"") }
            return " \(key)=" + (isPlain ? value : quoted(value))
        }.joined()
    }

    /// A quote inside must not look like the end of the value, and what follows like a key.
    private static func quoted(_ value: String) -> String {
        var text = "\""
        for character in value {
            if character == "\"" || character == "\\" { text.append("\\") }
            text.append(character)
        }
        return text + "\""
    }

    /// syslog(3) priorities.
    private static func priority(_ level: Logger.Level) -> Int {
        switch level {
        case .trace, .debug: 7
        case .info: 6
        case .notice: 5
        case .warning: 4
        case .error: 3
        case .critical: 2
        }
    }
}

/// A static message with its facts, on its way to the log: what loops say without knowing swift-log.
struct Remark: Sendable {
    enum Level: Sendable { case debug, info, notice, warning, error }
    let level: Level
    let message: String
    let facts: [(String, String)]

    func log(to logger: Logger) {
        let metadata = Logger.Metadata(uniqueKeysWithValues: facts.map { ($0.0, .string($0.1)) })
        let loggerLevel: Logger.Level =
            switch level {
            case .debug: .debug
            case .info: .info
            case .notice: .notice
            case .warning: .warning
            case .error: .error
            }
        logger.log(level: loggerLevel, "\(message)", metadata: metadata)
    }
}
