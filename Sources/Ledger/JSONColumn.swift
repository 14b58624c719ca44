// SPDX-License-Identifier: Apache-2.0

internal import FoundationEssentials
internal import JobModel

/// Columns that hold JSON, NULL when there is nothing to say. A text that does not parse reads as nothing:
/// the columns are written here only, and a damaged page is SQLite's to report.
enum JSONColumn {
    static func text(_ options: JobOptions) -> String? {
        options == empty ? nil : encode(options)
    }
    /// A job's own over its list's; nearly every row has none.
    static func options(_ text: String?, over defaults: SharedOptions) -> SharedOptions {
        text == nil ? defaults : SharedOptions(options(text).over(defaults.value))
    }
    static func options(_ text: String?) -> JobOptions {
        text.flatMap { decode(JobOptions.self, $0) } ?? empty
    }
    static func text(_ resume: ResumePoint?) -> String? { resume.flatMap(encode) }
    static func text(_ mirrors: MirrorRecord) -> String? { encode(mirrors) }
    static func resume(_ text: String?) -> ResumePoint? {
        text.flatMap { decode(ResumePoint.self, $0) }
    }

    private static let empty = JobOptions()

    private static func encode(_ value: some Encodable) -> String? {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        // These values always encode: strings, numbers and booleans.
        let text = try? encoder.encode(value)  // see above: it cannot fail
        return text.map { String(decoding: $0, as: UTF8.self) }
    }
    static func decode<T: Decodable>(_ type: T.Type, _ text: String?) -> T? {
        text.flatMap { decode(type, $0) }
    }
    private static func decode<T: Decodable>(_ type: T.Type, _ text: String) -> T? {
        let decoder = JSONDecoder()
        decoder.nonConformingFloatDecodingStrategy = .convertFromString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        return try? decoder.decode(type, from: Data(text.utf8))  // nil means a damaged file, see above
    }
}
