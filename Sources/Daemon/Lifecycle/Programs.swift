// SPDX-License-Identifier: Apache-2.0

import Config
import Glibc
import LinuxKit
import SystemPackage

/// Where our own programs lie: beside this one, never by PATH.
public enum Programs {
    public static var sumd: String { beside("sumd") }

    public static func beside(_ name: String) -> String {
        let own = ProcessFacts.executablePath ?? "/usr/local/bin/dld"
        return FilePath(own).removingLastComponent().appending(name).string
    }
}

/// Where log lines go and how they look.
enum LogPlace {
    static func style(for configuration: Configuration) -> LogStyle {
        switch configuration.log.format {
        case .auto:
            // systemd sets it when standard error is the journal (systemd.exec(5)).
            if Environment.value("JOURNAL_STREAM") != nil { return .journal }
            return .plain
        case .text: return .plain
        case .journal: return .journal
        case .json: return .json
        }
    }
}

/// Where jobs.log lies: the log directory that systemd made, else /var/log/dld, else the state directory.
enum JobsLogPlace {
    static func path(for configuration: Configuration) -> String? {
        switch configuration.log.jobsFile {
        case .off: return nil
        case .path(let path): return path
        case .automatic: break
        }
        if let folder = Environment.value("LOGS_DIRECTORY")?.split(separator: ":").first {
            return "\(folder)/jobs.log"
        }
        let isDefaultState = configuration.stateDir == Configuration(cores: 1).stateDir
        if isDefaultState, isWritable("/var/log/dld") { return "/var/log/dld/jobs.log" }
        return "\(configuration.stateDir)/jobs.log"
    }

    private static func isWritable(_ path: String) -> Bool { unsafe access(path, W_OK) == 0 }
}

/// Directories with exactly the mode asked for, parents included.
enum DirectoryMaking {
    static func make(_ path: FilePath, mode: UInt32) throws(SystemError) {
        if try FileStatus.of(path, followingLinks: true)?.kind == .directory { return }
        let parent = path.removingLastComponent()
        if !parent.isEmpty, parent != path { try make(parent, mode: 0o755) }
        let status = unsafe path.withPlatformString { unsafe mkdir($0, mode) }
        if status != 0, errno != EEXIST { throw .last("mkdir", path.string) }
        if status == 0 {
            // mkdir's mode passes through the umask; this does not.
            let changed = unsafe path.withPlatformString { unsafe chmod($0, mode) }
            if changed != 0 { throw .last("chmod", path.string) }
        }
    }
}
