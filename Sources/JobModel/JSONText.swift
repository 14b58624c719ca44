// SPDX-License-Identifier: Apache-2.0

/// A small JSON writer: keys stay in the order written, no reflection, integers exact at any size.
///
/// Strings are escaped as RFC 8259 asks and beyond that DEL, C1, bidirectional and invisible controls, so
/// that a result file may be shown on a terminal. A value type for one thread at a time.
public struct JSONText: Sendable {
    /// What has been written so far.
    public private(set) var bytes: [UInt8] = []
    /// Whether the next value or key follows another one.
    private var needsComma = false

    /// Nothing written.
    /// - Parameter room: bytes that what is to come will take, about.
    public init(room: Int = 0) { bytes.reserveCapacity(room) }

    /// `{...}`; the closure writes its fields.
    public mutating func object(_ body: (inout JSONText) -> Void) {
        open("{")
        body(&self)
        close("}")
    }

    /// `[...]`; the closure writes its values.
    public mutating func array(_ body: (inout JSONText) -> Void) {
        open("[")
        body(&self)
        close("]")
    }

    /// A key that came from somewhere; its value must follow.
    public mutating func key(named name: String) {
        separate()
        appendQuoted(name)
        bytes.append(UInt8(ascii: ":"))
        needsComma = false
    }

    /// A key of ours, of which is known that nothing in it needs an escape.
    public mutating func key(_ name: StaticString) {
        separate()
        bytes.append(UInt8(ascii: "\""))
        name.withUTF8Buffer { unsafe bytes.append(contentsOf: $0) }
        bytes.append(UInt8(ascii: "\""))
        bytes.append(UInt8(ascii: ":"))
        needsComma = false
    }

    /// The end of a line.
    public mutating func endLine() { bytes.append(UInt8(ascii: "\n")) }

    /// A string, or null.
    public mutating func value(_ text: String?) {
        separate()
        if let text { appendQuoted(text) } else { bytes += "null".utf8 }
        needsComma = true
    }
    /// An integer of any width, or null.
    public mutating func value(_ number: (some FixedWidthInteger)?) {
        separate()
        bytes += (number.map { String($0) } ?? "null").utf8
        needsComma = true
    }
    /// A number, or null: JSON has no NaN and no infinity.
    public mutating func value(_ number: Double?) {
        separate()
        if let number, number.isFinite {
            if let whole = Int64(exactly: number) {
                bytes += String(whole).utf8
            } else {
                bytes += number.description.utf8
            }
        } else {
            bytes += "null".utf8
        }
        needsComma = true
    }
    /// true, false or null.
    public mutating func value(_ flag: Bool?) {
        separate()
        bytes += (flag.map { $0 ? "true" : "false" } ?? "null").utf8
        needsComma = true
    }
    /// A time as `WallTime.iso8601`, or null.
    public mutating func value(_ time: WallTime?) {
        separate()
        if let time {
            bytes.append(UInt8(ascii: "\""))
            time.appendISO8601(to: &bytes)
            bytes.append(UInt8(ascii: "\""))
        } else {
            bytes += "null".utf8
        }
        needsComma = true
    }
    /// Nanoseconds as milliseconds with at most three decimals; below 0 is null.
    public mutating func milliseconds(nanoseconds: Int64) {
        separate()
        appendMilliseconds(nanoseconds)
        needsComma = true
    }
    /// Text that is JSON already.
    public mutating func raw(_ json: [UInt8]) {
        separate()
        bytes += json
        needsComma = true
    }
    /// null.
    public mutating func null() { value(String?.none) }

    /// A key and a string or null.
    public mutating func field(_ name: StaticString, _ text: String?) {
        key(name)
        value(text)
    }
    /// A key and an integer or null.
    public mutating func field(_ name: StaticString, _ number: (some FixedWidthInteger)?) {
        key(name)
        value(number)
    }
    /// A key and a number or null.
    public mutating func field(_ name: StaticString, _ number: Double?) {
        key(name)
        value(number)
    }
    /// A key and a truth value or null.
    public mutating func field(_ name: StaticString, _ flag: Bool?) {
        key(name)
        value(flag)
    }
    /// A key and a time or null.
    public mutating func field(_ name: StaticString, _ time: WallTime?) {
        key(name)
        value(time)
    }
    /// A key and milliseconds; see `milliseconds(nanoseconds:)`.
    public mutating func field(_ name: StaticString, nanoseconds: Int64) {
        key(name)
        milliseconds(nanoseconds: nanoseconds)
    }

    private mutating func open(_ bracket: Unicode.Scalar) {
        separate()
        bytes.append(UInt8(ascii: bracket))
        needsComma = false
    }
    private mutating func close(_ bracket: Unicode.Scalar) {
        bytes.append(UInt8(ascii: bracket))
        needsComma = true
    }
    private mutating func separate() {
        if needsComma { bytes.append(UInt8(ascii: ",")) }
    }

    private mutating func appendQuoted(_ text: String) {
        bytes.append(UInt8(ascii: "\""))
        if Self.isPlain(text) {
            bytes += text.utf8
        } else {
            for scalar in text.unicodeScalars { appendEscaped(scalar) }
        }
        bytes.append(UInt8(ascii: "\""))
    }

    /// Printable ASCII that needs no escape: nearly every text.
    private static func isPlain(_ text: String) -> Bool {
        let span = text.utf8Span.span
        for index in span.indices {
            let byte = span[index]
            guard 0x20...0x7E ~= byte, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") else {
                return false
            }
        }
        return true
    }

    private mutating func appendEscaped(_ scalar: Unicode.Scalar) {
        switch scalar {
        case "\"": bytes += "\\\"".utf8
        case "\\": bytes += "\\\\".utf8
        case "\n": bytes += "\\n".utf8
        case "\r": bytes += "\\r".utf8
        case "\t": bytes += "\\t".utf8
        case _ where Masking.isUnsafe(scalar):
            for unit in UTF16.encode(scalar) ?? .init() { appendUnit(unit) }
        default: bytes += UTF8.encode(scalar) ?? .init()
        }
    }

    private mutating func appendUnit(_ unit: UInt16) {
        let hex = String(unit, radix: 16)
        bytes += "\\u".utf8
        bytes += Array(repeating: UInt8(ascii: "0"), count: 4 - hex.utf8.count)
        bytes += hex.utf8
    }

    /// In whole microseconds, so that no digit is a rounding artefact of binary fractions.
    private mutating func appendMilliseconds(_ nanoseconds: Int64) {
        guard nanoseconds >= 0 else {
            bytes += "null".utf8
            return
        }
        let micros = nanoseconds / 1000 + (nanoseconds % 1000 >= 500 ? 1 : 0)
        let whole = micros / 1000
        var part = micros % 1000
        bytes += String(whole).utf8
        guard part > 0 else { return }
        bytes.append(UInt8(ascii: "."))
        var digit: Int64 = 100
        while part > 0 {
            bytes.append(UInt8(ascii: "0") + UInt8(part / digit))
            part %= digit
            digit /= 10
        }
    }
}
