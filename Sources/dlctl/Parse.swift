// SPDX-License-Identifier: Apache-2.0

public import ArgumentParser
public import ControlAPI
public import JobModel

/// Arguments into values, with the words for what is none.
enum Parse {
    /// 16 hex digits are a job, everything else is a list.
    static func target(_ text: String) throws -> ControlTarget {
        if let id = JobID(text) { return .job(id) }
        return .list(try list(text))
    }
    static func list(_ text: String) throws -> ListReference {
        guard let reference = ListReference(text) else {
            throw ValidationError(
                "\"\(Masking.text(text))\" is no list: give its id or its name, without directories.")
        }
        return reference
    }
    static func jobID(_ text: String) throws -> JobID {
        guard let id = JobID(text) else {
            throw ValidationError("\"\(Masking.text(text))\" is no job id: 16 hex digits.")
        }
        return id
    }
    static func auditID(_ text: String) throws -> AuditID {
        guard let id = AuditID(text) else {
            throw ValidationError("\"\(Masking.text(text))\" is no audit's id.")
        }
        return id
    }
    static func listID(_ text: String) throws -> ListID {
        guard case .id(let id) = ListReference(text) else {
            throw ValidationError("\"\(Masking.text(text))\" is no list id.")
        }
        return id
    }
}

extension ListReference: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
}
extension ListDocument.State: ExpressibleByArgument {
    public static var allValueStrings: [String] {
        allCases.filter { $0 != .spooled }.map(\.rawValue)
    }
}
extension JobState: ExpressibleByArgument {
    public init?(argument: String) { self.init(name: argument) }
    public static var allValueStrings: [String] { allCases.map(\.name) }
}
