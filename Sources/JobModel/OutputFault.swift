// SPDX-License-Identifier: Apache-2.0

/// Errors about the place where a file belongs, in the same words whoever meets them.
public enum OutputFault {
    /// A symbolic link lies on the way to a final path; `shown` is the link, or the path where that is not known.
    public static func link(on path: OutputPath, shown: String, cause: String) -> JobError {
        JobError(
            .outsideOutput,
            "\(path): \(shown) is a symbolic link, and none is followed below the output directory; "
                + "make it a directory and bind-mount the other place on it (mount --bind) (\(cause))")
    }
}
