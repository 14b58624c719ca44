// SPDX-License-Identifier: Apache-2.0

import JobModel
import LinuxKit
import SystemPackage

/// From the kernel's answer to the job's error. Pure.
enum PublishFault {
    /// - Parameters:
    ///   - path: the final path that was worked on; nil where none was.
    ///   - obstacle: the part of it that is no directory, where that is known.
    static func error(_ error: SystemError, path: OutputPath? = nil, obstacle: String? = nil) -> JobError {
        guard let path else { return JobError(.disk, error.description) }
        let shown = obstacle ?? path.description
        switch error.code {
        case .notDirectory:
            return JobError(
                .pathConflict, "\(path): \(shown) is a file, and a directory is needed there (\(error))")
        case .isDirectory, .directoryNotEmpty:
            return JobError(.pathConflict, "\(path): a directory has that name (\(error))")
        case .fileNameTooLong:
            return JobError(.pathConflict, "\(path): the path is too long for the file system (\(error))")
        case .tooManySymbolicLinkLevels:
            return OutputFault.link(on: path, shown: shown, cause: "\(error)")
        default:
            return JobError(.disk, error.description)
        }
    }

    static func missingPart(_ path: String) -> JobError {
        JobError(.disk, "publish \(path): the part file is gone")
    }
    static func foreignPart(_ path: String) -> JobError {
        JobError(.disk, "publish \(path): not the file that the transfer wrote (inode or size differs)")
    }
    static func missingPlace(_ settings: PublishSettings) -> JobError {
        JobError(
            .disk,
            "publish: \(settings.outputDirectory) or \(settings.partsDirectory) was removed, "
                + "replaced or unmounted"
        )
    }
}
