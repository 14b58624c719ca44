// SPDX-License-Identifier: Apache-2.0

public import JobModel

/// LIST in a command: an id or a name (its newest). All digits is an id.
public enum ListReference: Sendable, Hashable, CustomStringConvertible {
    case id(ListID)
    case name(String)

    /// nil: neither a positive decimal number nor a file name (1 to 255 bytes, no `/`, no NUL, not `.` or
    /// `..`).
    public init?(_ text: String) {
        let bytes = text.utf8
        guard !bytes.isEmpty, bytes.count <= 255, !bytes.contains(UInt8(ascii: "/")), !bytes.contains(0),
            text != ".", text != ".."
        else { return nil }
        if bytes.allSatisfy({ $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }) {
            guard let value = Int64(text), value > 0 else { return nil }
            self = .id(ListID(value))
        } else {
            self = .name(text)
        }
    }
    public var description: String {
        switch self {
        case .id(let id): id.description
        case .name(let name): name
        }
    }
}

/// `GET /v1/lists`.
public struct ListQuery: Sendable, Hashable {
    public var state: ListDocument.State?
    /// Go on after this list.
    public var after: ListID?
    public var limit = ControlAPI.defaultPageLimit
    public init() {}
}

/// `GET /v1/jobs`.
public struct JobQuery: Sendable, Hashable {
    public var state: JobState?
    public var list: ListReference?
    /// Go on after this job, in the order of admission.
    public var after: JobID?
    public var limit = ControlAPI.defaultPageLimit
    public init() {}
}

/// `GET /v1/hosts`.
public struct HostQuery: Sendable, Hashable {
    /// Go on after this host.
    public var after: HostKey?
    public var limit = ControlAPI.defaultPageLimit
    public init() {}
}

/// What can be asked of a job or a list.
public enum ControlVerb: String, Sendable, Hashable, CaseIterable {
    case cancel, pause, resume, retry
}

/// What it is asked of.
public enum ControlTarget: Sendable, Hashable, CustomStringConvertible {
    case job(JobID)
    case list(ListReference)
    /// For logs: `list 4711`, `job 5f0c2e9a11d04b7e`.
    public var description: String {
        switch self {
        case .job(let id): "job \(id)"
        case .list(let reference): "list \(reference)"
        }
    }
}
