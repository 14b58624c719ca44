// SPDX-License-Identifier: Apache-2.0

import Config

/// `dld check`: what the config file says, or everything that is wrong with it.
public enum CheckRun {
    public struct Answer: Sendable {
        public let status: Int32
        public let output: String
        public let complaints: String
    }

    public static func run(config path: String?, prints: Bool) -> Answer {
        do {
            let loaded = try ConfigLoading.load(path)
            let warnings = loaded.warnings.map { "warning: \($0)\n" }.joined()
            let from = loaded.path ?? "no config file: the defaults"
            let output = prints ? loaded.configuration.printed(masked: true) : "\(from): ok\n"
            return Answer(status: ExitStatus.fine, output: output, complaints: warnings)
        } catch {
            return Answer(status: error.status, output: "", complaints: "\(error)\n")
        }
    }
}
