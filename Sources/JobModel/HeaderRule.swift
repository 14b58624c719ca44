// SPDX-License-Identifier: Apache-2.0

/// Which request header fields a list may set (RFC 9110 sections 5.1 and 5.5).
public enum HeaderRule {
    /// Names that would publish a piece of a file as the whole, or that belong to the connection: libcurl
    /// and dld write these.
    static let reserved: Set<String> = [
        "range", "content-length", "transfer-encoding", "connection", "te", "expect",
        // Beside the named ones: they end or change the connection under libcurl's feet.
        "upgrade", "trailer", "keep-alive", "proxy-connection",
    ]

    /// nil where the field may be sent, else the error of its line (`bad_option`). Any thread.
    public static func fault(in field: HeaderField) -> JobError? {
        let name = field.name.lowercased()
        guard !field.name.isEmpty, field.name.utf8.count <= 256, field.name.utf8.allSatisfy(isToken) else {
            return JobError(
                .badOption, "\"\(Masking.text(String(field.name.prefix(80))))\" is no header name")
        }
        guard !reserved.contains(name), !name.hasPrefix("if-") else {
            return JobError(
                .badOption, "a list may not set the header \(field.name): dld decides what is requested")
        }
        guard field.value.utf8.count <= 16_384 else {
            return JobError(.badOption, "the value of header \(field.name) is over 16 KiB")
        }
        // CR and LF would begin another header, NUL ends the string for libcurl.
        guard !field.value.utf8.contains(where: { ($0 < 0x20 && $0 != UInt8(ascii: "\t")) || $0 == 0x7F })
        else {
            return JobError(.badOption, "the value of header \(field.name) has control characters in it")
        }
        return nil
    }

    /// Reads `Name: value` as a list writes it; spaces around the value go.
    public static func parse(_ line: String) -> Result<HeaderField, JobError> {
        guard let colon = line.utf8.firstIndex(of: UInt8(ascii: ":")) else {
            return .failure(JobError(.badOption, "header has no \":\" in it; expected Name: value"))
        }
        let value = HTTPText.trimmed(Array(line.utf8[line.utf8.index(after: colon)...]))
        let field = HeaderField(name: String(line[..<colon]), value: String(decoding: value, as: UTF8.self))
        if let fault = fault(in: field) { return .failure(fault) }
        return .success(field)
    }

    /// tchar of RFC 9110 section 5.6.2.
    static func isToken(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "A")...UInt8(ascii: "Z"):
            true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }
}
