// SPDX-License-Identifier: Apache-2.0

/// One thing that is wrong (or, as a warning, odd) with a config, secrets masked.
public struct ConfigMistake: Sendable, Hashable, CustomStringConvertible {
    /// JSON path of the key: `limits.max_redirects`, `hosts."*.example.org".rate`; empty for the whole file.
    public let path: String
    /// What was found and what was expected.
    public let message: String
    /// The maker has masked the message.
    public init(path: String, message: String) {
        self.path = path
        self.message = message
    }
    /// `PATH: MESSAGE`.
    public var description: String { path.isEmpty ? message : "\(path): \(message)" }
}

/// Every mistake of one config file, in the order of the keys.
public struct ConfigMistakes: Error, Sendable, Hashable, CustomStringConvertible {
    /// The file's name, for the messages.
    public let file: String
    /// At least one.
    public let mistakes: [ConfigMistake]
    /// One line a mistake: `FILE: PATH: MESSAGE`.
    public var description: String { mistakes.map { "\(file): \($0)" }.joined(separator: "\n") }
}

/// A config that can be used.
public struct ConfigReading: Sendable, Hashable {
    /// What the file says over the defaults.
    public let configuration: Configuration
    /// Odd, but usable.
    public let warnings: [ConfigMistake]
}

/// What reading a config file gives.
public typealias ConfigResult = Result<ConfigReading, ConfigMistakes>
