// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ControlAPI
import ControlClient
import JobModel

/// What the four verbs on lists and jobs share.
struct TargetOptions: ParsableArguments {
    @OptionGroup var common: CommonOptions
    @Argument(help: "Lists (id or name) or job ids.")
    var targets: [String]

    /// In turn; the first that fails ends it, and says which it was.
    func run(_ verb: ControlVerb) throws {
        let parsed = try targets.map { try Parse.target($0) }
        try Console.reporting {
            let client = try common.client()
            for (target, text) in zip(parsed, targets) {
                do {
                    common.show(try client.act(verb, on: target)) { ActionView.text($0) }
                } catch let error as ClientError where targets.count > 1 {
                    throw ClientError(error.exit, "\(Masking.text(text)): \(error.message)")
                }
            }
        }
    }
}

struct Cancel: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "End lists or jobs that have not ended.")
    @OptionGroup var options: TargetOptions
    func run() throws { try options.run(.cancel) }
}

struct Pause: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Start nothing more of lists or jobs, keep what is there.")
    @OptionGroup var options: TargetOptions
    func run() throws { try options.run(.pause) }
}

struct Resume: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Let paused lists or jobs go on.")
    @OptionGroup var options: TargetOptions
    func run() throws { try options.run(.resume) }
}

struct Retry: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Try waiting jobs now, and failed jobs of open lists again.")
    @OptionGroup var options: TargetOptions
    func run() throws { try options.run(.retry) }
}

struct Host: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "End a host's hold: dlctl host example.org release.")
    enum Action: String, ExpressibleByArgument, CaseIterable { case release }
    @OptionGroup var common: CommonOptions
    @Argument(help: "The host, with :port where it is not the usual one.")
    var host: String
    @Argument(help: "What to do with it.")
    var action: Action

    func run() throws {
        try Console.reporting {
            common.show(try common.client().release(host: host)) { ActionView.text($0) }
        }
    }
}

struct Reload: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Re-read the configuration and reopen the logs.")
    @OptionGroup var common: CommonOptions

    func run() throws {
        try Console.reporting {
            common.show(try common.client().reload()) { ActionView.text($0) }
        }
    }
}
