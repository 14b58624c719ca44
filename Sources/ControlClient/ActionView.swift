// SPDX-License-Identifier: Apache-2.0

public import ControlAPI
import JobModel

/// What a verb did, in a line.
public enum ActionView {
    /// `cancel 4711: 85 jobs`.
    public static func text(_ action: ActionDocument) -> String {
        let target = Masking.text(action.target)
        guard action.verb != "release" else { return "released \(target)\n" }
        let jobs = action.changed == 0 ? "nothing to do" : Quantity.count(action.changed, "job")
        return "\(action.verb) \(target): \(jobs)" + (action.complete ? "" : ", going on in the background")
            + "\n"
    }

    /// The same for an audit: `pause audit 7`.
    public static func text(audit action: ActionDocument) -> String {
        "\(action.verb) audit \(Masking.text(action.target))\n"
    }

    /// What a reload left open.
    public static func text(_ reload: ReloadDocument) -> String {
        var lines = ["reloaded"]
        lines += reload.warnings.map { "warning: " + Masking.text($0) }
        if !reload.needsRestart.isEmpty {
            lines.append("after a restart only: " + Masking.text(reload.needsRestart.joined(separator: ", ")))
        }
        return lines.joined(separator: "\n") + "\n"
    }
}

/// `dlctl metrics --json`: Prometheus text as an array of samples.
public enum MetricsView {
    private struct Sample: Encodable {
        var name: String
        var labels: [String: String]
        var value: Double
    }

    /// `[{"labels":{"state":"done"},"name":"dld_jobs","value":3}, ...]` on one line. Lines of another form
    /// are left
    /// out.
    public static func json(_ text: [UInt8]) -> [UInt8] {
        let lines = String(decoding: text, as: UTF8.self).split(separator: "\n")
        let samples = lines.compactMap { $0.first == "#" ? nil : sample($0) }
        let encoded = try? ControlAPI.encode(samples)  // finite numbers and strings always encode
        return (encoded ?? Array("[]".utf8)) + [UInt8(ascii: "\n")]
    }

    private static func sample(_ line: Substring) -> Sample? {
        guard let space = line.lastIndex(of: " "), let value = Double(line[line.index(after: space)...]),
            value.isFinite
        else { return nil }
        let head = line[..<space]
        guard let brace = head.firstIndex(of: "{"), head.last == "}" else {
            return Sample(name: String(head), labels: [:], value: value)
        }
        var labels: [String: String] = [:]
        var rest = head[head.index(after: brace)...].dropLast()
        while let equals = rest.firstIndex(of: "=") {
            let name = String(rest[..<equals])
            rest = rest[rest.index(after: equals)...].dropFirst()
            labels[name] = quoted(&rest)
            rest = rest.drop { $0 == "," }
        }
        return Sample(name: String(head[..<brace]), labels: labels, value: value)
    }

    /// Up to the closing quote, which is taken too.
    private static func quoted(_ rest: inout Substring) -> String {
        var text = ""
        while let character = rest.popFirst(), character != "\"" {
            guard character == "\\", let escaped = rest.popFirst() else {
                text.append(character)
                continue
            }
            text.append(escaped == "n" ? "\n" : escaped)
        }
        return text
    }
}
