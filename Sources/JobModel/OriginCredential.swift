// SPDX-License-Identifier: Apache-2.0

/// What `hosts."H".credentials_file` holds: the secret that one origin is shown. Never printed: its description is
/// the mask.
public enum OriginCredential: Sendable, Hashable, CustomStringConvertible, CustomReflectable {
    /// Basic authentication.
    case basic(user: String, password: String)
    /// One request header as it stands.
    case header(HeaderField)

    /// The longest file, bytes.
    public static let maxBytes = 64 * 1024

    /// Reads the one line of such a file: `user:password`, or a header, told apart by the space behind its colon
    /// (`Authorization: Bearer X`). Nothing of the content is in the error's text. Pure; any thread.
    public static func parse(_ content: [UInt8]) -> Result<OriginCredential, Fault> {
        guard content.count <= maxBytes else { return .failure(Fault("is over 64 KiB")) }
        var line = content[...]
        if line.last == UInt8(ascii: "\n") { line.removeLast() }
        if line.last == UInt8(ascii: "\r") { line.removeLast() }
        guard !line.isEmpty else {
            return .failure(Fault("is empty; expected one line, user:password or a header"))
        }
        guard !line.contains(UInt8(ascii: "\n")), !line.contains(UInt8(ascii: "\r")) else {
            return .failure(Fault("has more than one line"))
        }
        guard line.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || $0 == UInt8(ascii: "\t") }),
            let text = String(validating: line, as: UTF8.self)
        else { return .failure(Fault("is no line of UTF-8 text")) }
        guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > line.startIndex else {
            return .failure(Fault("is neither user:password nor a header such as Authorization: Bearer X"))
        }
        let rest = line[(colon + 1)...]
        guard rest.first == UInt8(ascii: " ") else {
            let user = String(decoding: line[..<colon], as: UTF8.self)
            return .success(.basic(user: user, password: String(decoding: rest, as: UTF8.self)))
        }
        guard case .success(let field) = HeaderRule.parse(text), !field.value.isEmpty,
            !["host", "proxy-authorization"].contains(field.name.lowercased())
        else { return .failure(Fault("holds a header that cannot be sent for it")) }
        return .success(.header(field))
    }

    /// Why a file is refused, as the end of a sentence that begins with its name.
    public struct Fault: Error, Sendable, Hashable, CustomStringConvertible {
        public let description: String
        init(_ text: String) { description = text }
    }

    public var description: String { Masking.mask }
    public var customMirror: Mirror { Mirror(self, children: []) }
}
