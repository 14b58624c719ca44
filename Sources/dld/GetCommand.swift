// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Daemon
import Glibc
import JobModel

struct GetCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "get", abstract: "Download URLs into a directory, here and now, without a daemon.",
        discussion: """
            Each URL is a file of its own. The same call again goes on where an interrupted one stopped. -i reads a \
            list (text list, or JSON Lines for *.jsonl); there, TAB separates mirrors of one file.
            """)

    @Option(name: [.customShort("d"), .customLong("dir")], help: "Directory to download into.")
    var directory = "."
    @Option(name: [.customShort("o"), .customLong("out")], help: "Name of the file (one URL only).")
    var name: String?
    @Option(name: [.customShort("i"), .customLong("input")], help: "A list file, or - for standard input.")
    var input: String?
    @Option(name: [.customShort("j"), .customLong("jobs")], help: "Files at once.")
    var jobs = 16
    @Option(name: .long, help: "A request header, `Name: value`; may be repeated.")
    var header: [String] = []
    @Option(name: .long, help: "Digest the file must have, such as sha-256=HEX (one URL only).")
    var checksum: String?
    @Argument(help: "URLs.")
    var urls: [String] = []

    func validate() throws {
        if urls.isEmpty, input == nil { throw ValidationError("give URLs, or a list with -i FILE") }
        if name != nil, urls.count != 1 || input != nil {
            throw ValidationError("-o names the file of one URL")
        }
        if checksum != nil, urls.count != 1 || input != nil {
            throw ValidationError("--checksum is for one URL")
        }
        if let checksum, Checksum(checksum) == nil {
            throw ValidationError("--checksum \(checksum): expected sha-256=HEX, sha256:HEX or sha256-BASE64")
        }
        if !(1...1024).contains(jobs) { throw ValidationError("-j is a number from 1 to 1024") }
        for text in header where HeaderField(line: text) == nil {
            throw ValidationError("--header \(text): expected `Name: value`")
        }
    }

    func run() throws {
        var request = GetRequest(directory: directory, urls: urls)
        request.name = name
        request.input = input
        request.jobs = jobs
        request.headers = header.compactMap { HeaderField(line: $0) }
        request.checksum = checksum.flatMap { Checksum($0) }
        throw ExitCode(GetRun.run(request, version: Version.number))
    }
}

extension HeaderField {
    /// `Name: value`; nil without a colon or a name.
    init?(line: String) {
        guard let colon = line.firstIndex(of: ":"), colon != line.startIndex else { return nil }
        let value = line[line.index(after: colon)...].drop { $0 == " " || $0 == "\t" }
        self.init(name: String(line[..<colon]), value: String(value))
    }
}
