// SPDX-License-Identifier: Apache-2.0

/// A piece of configuration as a literal: `["retry": ["base_delay": "10ms"], "workers": 2]`.
public indirect enum ConfigValue: Sendable, Hashable {
    case text(String)
    case number(Int)
    case flag(Bool)
    case list([ConfigValue])
    case object([String: ConfigValue])

    /// Objects are merged key by key; anything else is replaced by `other`.
    public func merged(with other: ConfigValue) -> ConfigValue {
        guard case .object(let old) = self, case .object(let new) = other else { return other }
        return .object(old.merging(new) { $0.merged(with: $1) })
    }

    /// Keys in order, so that two runs write the same file.
    public var json: String {
        switch self {
        case .text(let text): Self.quoted(text)
        case .number(let number): "\(number)"
        case .flag(let flag): "\(flag)"
        case .list(let values): "[\(values.map(\.json).joined(separator: ", "))]"
        case .object(let fields):
            "{\(fields.sorted { $0.key < $1.key }.map { "\(Self.quoted($0.key)): \($0.value.json)" }.joined(separator: ", "))}"
        }
    }

    private static func quoted(_ text: String) -> String {
        let escaped = text.unicodeScalars.map { scalar in
            switch scalar {
            case "\"", "\\": "\\\(scalar)"
            case _ where scalar.value < 32:
                "\\u00\(scalar.value < 16 ? "0" : "")\(String(scalar.value, radix: 16))"
            default: "\(scalar)"
            }
        }
        return "\"\(escaped.joined())\""
    }
}

extension ConfigValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral,
    ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    public init(stringLiteral value: String) { self = .text(value) }
    public init(integerLiteral value: Int) { self = .number(value) }
    public init(booleanLiteral value: Bool) { self = .flag(value) }
    public init(arrayLiteral elements: ConfigValue...) { self = .list(elements) }
    public init(dictionaryLiteral elements: (String, ConfigValue)...) {
        self = .object(Dictionary(elements) { $1 })
    }
}
