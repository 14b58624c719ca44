// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// The files that `sumd digest` and `sumd check` are given.
///
/// They are taken off the command line byte by byte before it is parsed: the parser works on text, where a name that is
/// no UTF-8 comes out changed, and its time grows with the square of their number.
struct NamesOption: ParsableArguments {
    @Argument(help: "Files; - or none is standard input.", completion: .file())
    var files: [String] = []

    /// Never empty.
    var names: [[UInt8]] {
        let names = Self.split(Self.rawArguments).names
        return names.isEmpty ? [Array("-".utf8)] : names
    }

    /// What is to be parsed: all but the names.
    static var argumentsToParse: [String] { split(rawArguments).rest }

    private static let verbs: Set<String> = ["digest", "check"]
    /// Options whose value is an argument of its own.
    private static let valued: Set<String> = ["-a", "--algorithm", "--processes"]

    static func split(_ arguments: [[UInt8]]) -> (names: [[UInt8]], rest: [String]) {
        let texts = arguments.map { String(decoding: $0, as: UTF8.self) }
        guard let verb = texts.first, verbs.contains(verb) else { return ([], texts) }
        var names: [[UInt8]] = []
        var rest = [verb]
        var isValue = false
        var isOptionsEnd = false
        for (bytes, text) in zip(arguments, texts).dropFirst() {
            if isValue {
                rest.append(text)
                isValue = false
            } else if isOptionsEnd || bytes.first != UInt8(ascii: "-") || text == "-" {
                names.append(bytes)
            } else if text == "--" {
                isOptionsEnd = true
            } else {
                rest.append(text)
                isValue = valued.contains(text)
            }
        }
        return (names, rest)
    }

    /// Without the program's own name.
    private static var rawArguments: [[UInt8]] {
        (1..<max(1, Int(CommandLine.argc))).compactMap { place in
            guard let argument = unsafe CommandLine.unsafeArgv[place] else { return nil }
            var bytes: [UInt8] = []
            var next = unsafe argument
            while unsafe next.pointee != 0 {
                bytes.append(UInt8(bitPattern: unsafe next.pointee))
                unsafe next += 1
            }
            return bytes
        }
    }
}
