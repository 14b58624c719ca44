// SPDX-License-Identifier: Apache-2.0

import Glibc
public import SystemPackage

/// A system call that failed: what was tried, on what, and the kernel's answer.
///
/// The module's one error type. Its text names object and operation, as the house wants every error to:
/// `rename /srv/a -> /srv/b: No space left on device`. Whether the job fails or the daemon cannot work is for
/// the caller to say; a descriptor that is not open (EBADF) is our bug.
public struct SystemError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The kernel's answer.
    public let code: Errno
    /// The call or what it was for: `rename`, `fsync`.
    public let operation: String
    /// What it was tried on: a path, `a -> b`, a pid.
    public let object: String

    /// Of a code that is at hand; after a call use `last`.
    public init(_ code: Errno, _ operation: String, _ object: String) {
        self.code = code
        self.operation = operation
        self.object = object
    }

    /// The error of the call just made. `errno` is read before the texts are built: building them may
    /// allocate and so overwrite it.
    public static func last(
        _ operation: @autoclosure () -> String, _ object: @autoclosure () -> String
    ) -> SystemError {
        let code = Errno(rawValue: errno)
        return SystemError(code, operation(), object())
    }

    /// `operation object: reason`.
    public var description: String { "\(operation) \(object): \(code)" }

    /// No space, no quota, read-only, a failing disk: trouble of the file system, not of one file.
    public var isFileSystemTrouble: Bool {
        switch code {
        case .noSpace, .diskQuotaExceeded, .readOnlyFileSystem, .ioError: true
        default: false
        }
    }
    /// EAGAIN, the same number as EWOULDBLOCK on Linux.
    public var isWouldBlock: Bool { code == .wouldBlock || code == .resourceTemporarilyUnavailable }
}

/// Makes a call that answers -1 and sets `errno`, again after EINTR. Returns its answer.
@inline(__always)
func systemCall<Answer: FixedWidthInteger & SignedInteger>(
    _ operation: @autoclosure () -> String, _ object: @autoclosure () -> String, _ call: () -> Answer
) throws(SystemError) -> Answer {
    while true {
        let answer = call()
        if answer != -1 { return answer }
        if errno == EINTR { continue }
        throw .last(operation(), object())
    }
}

/// For the pthread and posix_spawn families, which answer the errno value itself.
@inline(__always)
func statusCall(
    _ operation: @autoclosure () -> String, _ object: @autoclosure () -> String, _ call: () -> Int32
) throws(SystemError) {
    let status = call()
    if status != 0 { throw SystemError(Errno(rawValue: status), operation(), object()) }
}
