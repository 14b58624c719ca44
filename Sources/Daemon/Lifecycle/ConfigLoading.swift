// SPDX-License-Identifier: Apache-2.0

public import Config
import JobModel
import LinuxKit
import SystemPackage

/// Finds and reads the config file.
public enum ConfigLoading {
    public static let defaultPath = "/etc/dld/config.json"

    public struct Loaded: Sendable {
        public let configuration: Configuration
        public let warnings: [ConfigMistake]
        /// nil: no file, the defaults.
        public let path: String?
        /// By the name the config gives each file.
        let credentials: [String: OriginCredential]
    }

    /// Without a path: the default file if it is there, else the defaults. A path that was given must be there.
    public static func load(_ path: String?) throws(StartError) -> Loaded {
        let cores = ProcessFacts.usableProcessors()
        let file = path ?? defaultPath
        do {
            if path == nil, try FileStatus.of(FilePath(file), followingLinks: true) == nil {
                return Loaded(
                    configuration: Configuration(cores: cores), warnings: [], path: nil, credentials: [:])
            }
            let opened = try Descriptor.open(FilePath(file), .readOnly, options: [.nonBlocking])
            var bytes: [UInt8] = []
            while bytes.count <= ConfigFile.maxBytes {
                guard let more = try opened.read(upTo: 65_536, file), !more.isEmpty else { break }
                bytes += more
            }
            switch ConfigFile.read(bytes: bytes, file: file, cores: cores) {
            case .success(let reading):
                switch CredentialFiles.ofThisProcess().load(reading.configuration.hosts) {
                case .success(let credentials):
                    return Loaded(
                        configuration: reading.configuration, warnings: reading.warnings, path: file,
                        credentials: credentials)
                case .failure(let mistakes):
                    let lines = mistakes.list.map { "\(file): \($0)" }
                    throw StartError(ExitStatus.config, lines.joined(separator: "\n"))
                }
            case .failure(let mistakes):
                throw StartError(ExitStatus.config, "\(mistakes)")
            }
        } catch let error as StartError {
            throw error
        } catch let error as SystemError where error.code == .permissionDenied {
            throw StartError(ExitStatus.notPermitted, "config: \(error); members of group dld may read it")
        } catch {
            throw StartError(ExitStatus.config, "config: \(error)")
        }
    }
}
