// SPDX-License-Identifier: Apache-2.0

import Foundation
import JobModel
import Testing

@testable import Config

struct ConfigFileTests {
    private func read(_ text: String) -> ConfigResult {
        ConfigFile.read(text: text, file: "c.json", cores: 3)
    }

    private func mistakes(_ text: String) -> [String] {
        switch read(text) {
        case .success: []
        case .failure(let mistakes): mistakes.mistakes.map(\.description)
        }
    }

    private var example: String {
        get throws {
            let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
                .deletingLastPathComponent()
            return try String(contentsOf: root.appending(path: "config.example.json"), encoding: .utf8)
        }
    }

    @Test func `the example is the defaults, every key of them`() throws {
        let reading = try read(example).get()
        #expect(reading.configuration == Configuration(cores: 3))
        #expect(reading.warnings.isEmpty)
        var text = ""
        for line in try example.split(separator: "\n") {
            text += line.components(separatedBy: " //")[0] + "\n"
        }
        for entry in Configuration(cores: 3).entries(masked: true) {
            #expect(
                text.contains("\"\(entry.path[entry.path.count - 1])\":"),
                "the example lacks \(entry.pathText)")
        }
    }

    @Test func `an empty object is the defaults`() throws {
        #expect(try read("{}").get().configuration == Configuration(cores: 3))
        #expect(try read(" // nothing\n{ /* here */ }").get().configuration.workers == 3)
    }

    @Test func `what is printed reads back as the same`() throws {
        let text = """
            {"spool_dir": "/s//x/", "workers": 2, "log": {"level": "debug", "jobs_file": "off"},
             "hosts": {"default": {"connections": 2, "requests_per_second": 0.5}, "*.example.org": {"rate": "10MiB/s", "give_up": "never"},
                       "a.example.org:8080": {"requests_per_second": 5, "credentials_file": "/etc/c"}},
             "retry": {"max_attempts": 0, "base_delay": "250ms"}, "timeouts": {"job": "1h30m"},
             "limits": {"max_file_size": "1.5GiB", "total_rate": 1000, "min_free": 0}, "retention": {"lists": "30d"},
             "digest": {"always": "sha-256", "write": "xattr", "keep_bad": true}, "output": {"exists": "update", "layout": "{host}/{name}", "file_mode": "0640", "dir_mode": "2750"},
             "network": {"private_addresses": "deny", "protocols": ["https"], "proxy": "http://u:pw@p:3128", "user_agent": "x/1"},
             "sum": {"max_terms": 18446744073709551615}, "durability": "none"}
            """
        let config = try read(text).get().configuration
        #expect(config.spoolDir == "/s/x")
        #expect(config.network.proxy == "http://u:pw@p:3128")
        #expect(config.output.dirMode == 0o2750)
        #expect(config.limits.totalRate == RateTimetable(1000))
        #expect(config.sum.maxTerms == .max)
        #expect(try read(config.printed(masked: false)).get().configuration == config)
        #expect(config.printed().contains("http://u:***@p:3128") && !config.printed().contains("pw"))
        #expect(try read(Configuration(cores: 3).printed()).get().configuration == Configuration(cores: 3))
    }

    @Test func `every mistake is named at once`() {
        let found = mistakes(
            """
            {"spol_dir": "/x", "workers": 0, "limits": {"max_redirect": 3, "min_free": "lots"}, "hosts": {"Example.org": {}, "default": {"conections": 1}},
             "max_attempts": 2, "durability": "FULL", "output": []}
            """)
        #expect(
            found
                == [
                    #"workers: expected a whole number from 1 to 256, or null: one a core; found 0"#,
                    #"durability: expected one of "full", "none"; found "FULL""#,
                    #"hosts."Example.org": expected lower case: "example.org""#,
                    #"hosts.default.conections: unknown key; did you mean hosts.default.connections?"#,
                    #"limits.min_free: expected a size such as "64MiB"; found "lots""#,
                    #"limits.max_redirect: unknown key; did you mean limits.max_redirects?"#,
                    #"output: expected an object {...}; found an array"#,
                    #"max_attempts: unknown key; did you mean retry.max_attempts?"#,
                    #"spol_dir: unknown key; did you mean spool_dir?"#,
                ].sorted { found.firstIndex(of: $0) ?? 99 < found.firstIndex(of: $1) ?? 99 })
    }

    @Test(arguments: [
        #"{"spool_dir": "x"}"#, #"{"spool_dir": "/a/../b"}"#, #"{"spool_dir": 1}"#, #"{"spool_dir": ""}"#,
        #"{"spool_dir": "/a\u0001b"}"#,
        #"{"spool_dir": "/srv/dld"}"#, #"{"spool_dir": "/srv/dld/spool"}"#,
        #"{"output_dir": "/var/lib/dld/out"}"#, #"{"output_dir": "/"}"#,
        #"{"workers": 1.5}"#, #"{"workers": "2"}"#, #"{"workers": true}"#,
        #"{"workers": 9223372036854775808}"#, #"{"workers": -1}"#,
        #"{"transfers_per_worker": 0}"#, #"{"retry": {"max_attempts": -1}}"#,
        #"{"retry": {"base_delay": 1}}"#, #"{"retry": {"base_delay": "1"}}"#,
        #"{"retry": {"base_delay": "1h", "max_delay": "1s"}}"#, #"{"timeouts": {"connect": "0s"}}"#,
        #"{"timeouts": {"stall": null}}"#,
        #"{"timeouts": {"job": "0s"}}"#, #"{"limits": {"max_file_size": 0}}"#,
        #"{"limits": {"max_file_size": -1}}"#, #"{"limits": {"total_rate": "10M"}}"#,
        #"{"limits": {"total_rate": "10MiB/min"}}"#, #"{"limits": {"max_redirects": 1e99}}"#,
        #"{"output": {"layout": "{nme}"}}"#,
        #"{"output": {"layout": "../{name}"}}"#, #"{"output": {"file_mode": 420}}"#,
        #"{"output": {"file_mode": "0999"}}"#, #"{"output": {"file_mode": "4755"}}"#,
        #"{"output": {"file_mode": "0044"}}"#, #"{"output": {"dir_mode": "0644"}}"#,
        #"{"output": {"exists": "replace"}}"#, #"{"output": {"remote_time": 1}}"#,
        #"{"network": {"protocols": []}}"#, #"{"network": {"protocols": ["file"]}}"#,
        #"{"network": {"protocols": "http"}}"#, #"{"network": {"proxy": "ftp://p"}}"#,
        #"{"network": {"proxy": ""}}"#, #"{"network": {"user_agent": "a\r\nb"}}"#,
        #"{"network": {"ca_file": "ca.pem"}}"#, #"{"control": {"socket": "/SOCK"}}"#,
        #"{"sum": {"processes": 0}}"#, #"{"sum": {"max_terms": 0}}"#, #"{"sum": {"max_terms": -1}}"#,
        #"{"digest": {"always": true}}"#, #"{"hosts": {"a": {"rate": 0}}}"#,
        #"{"hosts": {"a": {"requests_per_second": 0}}}"#, #"{"hosts": {"a": {"requests_per_second": -1}}}"#,
        #"{"hosts": {"a": {"requests_per_second": "5"}}}"#,
        #"{"hosts": {"a": 5}}"#, #"{"hosts": {"http://a/": {}}}"#, #"{"hosts": {"*": {}}}"#,
        #"{"hosts": {"a:0": {}}}"#, #"{"hosts": {"a:99999": {}}}"#,
        #"{"hosts": {"::1": {}}}"#, #"{"hosts": {"": {}}}"#, #"{"hosts": {"a..b": {}}}"#,
        #"{"hosts": {"a.*": {}}}"#, #"{"hosts": {"é": {}}}"#,
        #"{"log": {"level": "loud"}}"#, #"{"log": {"jobs_file": "jobs.log"}}"#,
        #"{"spool": {"quiet": "-5s"}}"#, #"{"": 1}"#, #"{"workers": 1, "workers": 2}"#,
        #"{"retention": {"parts": "keep"}}"#, #"{"limits": {"min_free": null}}"#, #"{"hosts": null}"#,
    ])
    func `an impossible value is exactly one mistake with a path`(text: String) throws {
        let text = text.replacingOccurrences(of: "SOCK", with: String(repeating: "s", count: 107))
        guard case .failure(let found) = read(text) else {
            Issue.record("was taken: \(text)")
            return
        }
        #expect(found.mistakes.count == 1, "\(found)")
        #expect(found.mistakes.allSatisfy { !$0.path.isEmpty && !$0.message.isEmpty })
        #expect(found.description.hasPrefix("c.json: "))
    }

    @Test(arguments: [
        "", " ", "null", "[]", "5", "\"x\"", "{", "}", "{\"a\"", "{\"workers\": }",
        "{\"workers\": 1 \"log\": {}}", "{\"a\": 1}}", "\u{0}", "// only", "{,}",
    ])
    func `what is no JSON object is one mistake for the file`(text: String) {
        guard case .failure(let found) = read(text) else {
            Issue.record("was taken")
            return
        }
        #expect(found.mistakes.count == 1)
    }

    @Test func `junk never traps`() {
        _ = ConfigFile.read(bytes: [0xFF, 0xFE, 0x7B], file: "x", cores: 0)
        _ = ConfigFile.read(bytes: Array(repeating: 0x5B, count: 100_000), file: "x", cores: .max)
        _ = ConfigFile.read(bytes: Array(repeating: 0x20, count: 2 << 20), file: "x", cores: .min)
        _ = read(String(repeating: "{\"hosts\":", count: 20_000))
        _ = read("{\"\\ud800\": 1, '\\': 2}")
        _ = read("{\"workers\": 1/")
        _ = read("{\"workers\": 1 /* ")
    }

    @Test(arguments: [
        (
            "{\n  \"workers\": 1\n  \"log\": {}\n}",
            "line 3, column 3: expected a comma or the end of the object or array; found \"log\""
        ),
        ("{\n\"workers\" 1}", "line 2, column 11: expected a : after the key; found 1"),
        ("{\"workers\": }", "line 1, column 13: expected a value; found }"),
        ("{\"workers\": yes}", "line 1, column 13: expected a value; found yes"),
        (
            "{\"workers\": 1",
            "line 1, column 14: expected a comma or the end of the object or array; found the end of the file"
        ),
        ("{\"log\": {]}", "line 1, column 10: expected a key in double quotes or }; found ]"),
        ("{}}", "line 1, column 3: expected nothing more; found }"),
        ("{\"log: {}\n}", "line 1, column 2: the string is never closed on its line"),
        ("{} /* ", "line 1, column 4: the comment is never closed"),
        ("", "line 1, column 1: expected a value; found the end of the file"),
        ("{,}", "line 1, column 2: expected a key in double quotes or }; found ,"),
    ])
    func `a syntax mistake says where it is`(text: String, message: String) {
        #expect(mistakes(text) == ["not valid JSON: " + message])
    }

    @Test func `keys given twice are found at any depth`() {
        #expect(
            mistakes(#"{"log": {"level": "info", "level": "info"}}"#) == [
                "log.level: given twice in the same object"
            ])
        #expect(
            mistakes(
                #"{"log": {"level": "info"}, "spool": {}, /* "spool": */ "hosts": {"a": {"rate": "1MiB"}, "b": {"rate": "1MiB"}}}"#
            ) == [])
        #expect(mistakes("{\"output\": {\"layout\": \"{name}:{name}\"}, // layout: layout:\n}") == [])
    }

    @Test func `messages show no secrets and no control characters`() {
        for text in [
            #"{"network": {"proxy": "ftp://u:hunter2@p"}}"#, #"{"network": {"proxy": "u:hunter2@p x"}}"#,
            #"{"network": {"ca_file": "http://h/?token=hunter2"}}"#,
        ] {
            #expect(mistakes(text).count == 1 && !mistakes(text)[0].contains("hunter2"), "\(mistakes(text))")
        }
        #expect(!mistakes(#"{"a\u001b[31m": 1, "log": {"level": "\u001b[31m"}}"#).joined().contains("\u{1b}"))
        #expect(
            mistakes("{\"log\": {\"level\": \"" + String(repeating: "x", count: 10_000) + "\"}}")[0].utf8
                .count < 300)
    }

    @Test func `no limit can be said in words`() throws {
        let text =
            #"{"hosts": {"default": {"requests_per_second": "unlimited", "rate": "unlimited", "give_up": null}}, "timeouts": {"job": "none"}, "limits": {"total_rate": "unlimited", "max_list_size": "none"}}"#
        let config = try read(text).get().configuration
        #expect(
            config.hosts.defaults.giveUp == nil && config.hosts.defaults.rate == .unlimited
                && config.timeouts.job == nil)
    }

    @Test func `a rate may have a timetable`() throws {
        let text = #"""
            {"limits": {"total_rate": {"default": "2MiB", "22:00-06:00": "unlimited", "sat,sun 08:00-20:00": 5000}},
             "hosts": {"default": {"rate": {"12:00-13:00": "1MiB/s"}}, "a.example.org": {"rate": null}}}
            """#
        let config = try read(text).get().configuration
        let total = config.limits.totalRate
        #expect(total.standard == 2 << 20 && total.rules.count == 2)
        #expect(total.rate(at: LocalMinute(weekday: 5, minute: 9 * 60)) == 5000)
        #expect(config.hosts.hasTimedRates)
        #expect(config.hosts.rule(for: HostKey("a.example.org")).rate == .unlimited)
        #expect(config.hosts.rule(for: HostKey("b.example.org")).rate.standard == nil)
        #expect(try read(config.printed()).get().configuration == config)
        #expect(config.printed().contains(#""22:00-06:00": null"#))
    }

    @Test(arguments: [
        (#"{"24:00-06:00": 1}"#, #"limits.total_rate."24:00-06:00""#),
        (#"{"8-20": 1}"#, #"limits.total_rate."8-20""#),
        (#"{"08:00-08:00": 1}"#, #"limits.total_rate."08:00-08:00""#),
        (#"{"so 08:00-09:00": 1}"#, #"limits.total_rate."so 08:00-09:00""#),
        (#"{"08:00-09:00": 0}"#, #"limits.total_rate."08:00-09:00""#),
        (#"{"default": "fast"}"#, "limits.total_rate.default"),
        (
            #"{"sat,sun 08:00-09:00": 1, "sun,sat 08:00-09:00": 2}"#,
            #"limits.total_rate."sun,sat 08:00-09:00""#
        ),
    ])
    func `a mistake in a timetable is named by its path`(table: String, path: String) {
        let found = mistakes("{\"limits\": {\"total_rate\": \(table)}}")
        #expect(found.count == 1 && found[0].hasPrefix(path), "\(found)")
    }

    @Test func `changed keys are named, and which need a restart`() throws {
        let old = Configuration(cores: 3)
        var new = old
        new.workers = 8
        new.controlSocket = "/x"
        new.log.level = .debug
        new.hosts.overrides["a.example.org"] = HostOverride()
        new.hosts.overrides["a.example.org"]?.connections = 2
        #expect(
            Configuration.changedKeys(from: old, to: new) == [
                "workers", "control.socket", "log.level", "hosts.\"a.example.org\".connections",
            ])
        #expect(Configuration.changedKeys(from: new, to: old).last == "hosts.\"a.example.org\".connections")
        #expect(Configuration.keysNeedingRestart(from: old, to: new) == ["workers", "control.socket"])
        #expect(Configuration.keysNeedingRestart(from: old, to: old).isEmpty)
        let known = Set(old.entries(masked: true).map(\.pathText))
        #expect(Configuration.restartKeys.isSubset(of: known))
    }
}
