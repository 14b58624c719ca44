// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI
import ControlClient
import Glibc
import JobModel

struct Add: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Add a list: a file, standard input (-), or URLs; prints the id.",
        discussion:
            "URLs given together become one text list. A file's name decides its format, as in the spool.")
    @OptionGroup var common: CommonOptions
    @Flag(help: "Wait for the end, as dlctl wait does.")
    var wait = false
    @Option(help: ArgumentHelp("The list's name, which decides its format.", valueName: "name"))
    var name: String?
    @Argument(help: "A file, -, or URLs.", completion: .file())
    var inputs: [String]

    func run() throws {
        let lists = try PostedList.lists(from: inputs, name: name)
        try Console.reporting {
            let client = try common.client()
            var added: [ListReference] = []
            for list in lists {
                let answer = try client.add(name: list.name, body: try list.body())
                common.show(answer) { "\($0.id)\n" }
                added.append(.id(ListID(answer.document.id)))
            }
            if wait { try WaitRun(client: client, common: common, isQuiet: true).follow(added, limit: nil) }
        }
    }
}

/// A list on its way from the command line to the daemon.
struct PostedList {
    enum Source {
        case bytes([UInt8])
        case file(String)
        case standardInput
    }
    let name: String
    let source: Source

    /// URLs (and `sum:` entries) become one list, files one each.
    static func lists(from inputs: [String], name: String?) throws -> [PostedList] {
        let entries = inputs.filter { $0.contains("://") || $0.hasPrefix("sum:") }
        var lists: [PostedList] = []
        if !entries.isEmpty {
            // A TAB would make mirrors of one file, a line break two entries.
            guard !entries.contains(where: { $0.utf8.contains { $0 < 32 } }) else {
                throw ValidationError("A URL has a control character in it.")
            }
            let text = entries.joined(separator: "\n") + "\n"
            lists.append(PostedList(name: name ?? "dlctl-\(getpid()).txt", source: .bytes(Array(text.utf8))))
        }
        for input in inputs where !entries.contains(input) {
            if input == "-" {
                lists.append(PostedList(name: name ?? "stdin-\(getpid()).txt", source: .standardInput))
            } else {
                let base = input.split(separator: "/").last.map { String($0) } ?? input
                lists.append(PostedList(name: name ?? base, source: .file(input)))
            }
        }
        guard name == nil || lists.count == 1 else { throw ValidationError("--name is for one list.") }
        return lists
    }

    /// Opens what is to be sent. Throws before anything has been sent.
    func body() throws(ClientError) -> ControlRequest.Body {
        switch source {
        case .bytes(let bytes): return .bytes(bytes)
        case .standardInput:
            return try InputFile(descriptor: STDIN_FILENO, path: "standard input").whole()
        case .file(let path):
            let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
            guard descriptor >= 0 else {
                throw ClientError(.io, "\(Masking.text(path)): \(InputFile.reason())")
            }
            return try InputFile(descriptor: descriptor, path: path).whole()
        }
    }
}
