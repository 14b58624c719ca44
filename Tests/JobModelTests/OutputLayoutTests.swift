// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

struct OutputLayoutTests {
    /// The path of one download, or the code of the refusal.
    private func path(
        _ template: String = "flat", _ urlPath: String, query: String? = nil, host: String = "example.org",
        scheme: String = "https", out: String? = nil, dir: String? = nil, root: String = "/srv/dld"
    ) throws -> String {
        let layout = try OutputLayout(template: template)
        var options = JobOptions()
        options.out = out
        options.dir = dir
        let text = "\(scheme)://\(host)\(urlPath)\(query.map { "?" + $0 } ?? "")"
        do throws(JobError) {
            return try layout.path(
                for: DownloadURL(text: text, scheme: scheme, host: HostKey(host)), urlPath: urlPath,
                query: query,
                options: options, list: ListID(4711), line: 3, job: JobID(rawValue: 0x5f0c_2e9a_11d0_4b7e),
                outputRoot: root
            ).description
        } catch {
            return "!" + error.code.name
        }
    }

    @Test(arguments: [
        ("/a/b.iso", "b.iso"), ("/", "index"), ("", "index"), ("/a/", "index"), ("/a%20b", "a b"),
        ("/a%2Fb", "a%2Fb"),
        ("/a%00b", "a%00b"), ("/%2e%2e", "index"), ("/%252e", "%2e"), ("/x%0Ay", "x%0Ay"), ("/%FF", "%FF"),
        ("/.dld", "_.dld"), ("/%2edld", "_.dld"), ("/a/.DLD", "_.DLD"), ("/a;v=1", "a;v=1"), ("/%", "%"),
        ("/%4", "%4"),
        ("/caf%C3%A9", "café"), ("/..%2f..%2fetc", "..%2f..%2fetc"),
    ])
    func `flat takes the last segment decoded once`(urlPath: String, name: String) throws {
        #expect(try path("flat", urlPath, query: "ignored") == name)
    }

    @Test(
        arguments: [
            ("/a/b.iso", nil, "example.org", "example.org/a/b.iso"),
            ("/a/", "x=1", "example.org", "example.org/a/index?x=1"),
            ("/", nil, "example.org:8080", "example.org:8080/index"), ("//a//b", nil, "h", "h/a/b"),
            ("/%2e%2e/b", nil, "h", "h/%2E%2E/b"), ("/%2e/b", nil, "h", "h/b"),
            ("/a%2Fb/c", nil, "h", "h/a%2Fb/c"),
            ("/x", "a/../b", "h", "h/x?a%2F..%2Fb"), ("/x", nil, "[::1]:8", "[::1]:8/x"),
            ("/x", nil, ".dld", "_.dld/x"),
            ("/x", nil, "..", "index/x"),
        ] as [(String, String?, String, String)])
    func `host_path mirrors the server`(
        urlPath: String, query: String?, host: String, expected: String
    ) throws {
        #expect(try path("host_path", urlPath, query: query, host: host) == expected)
    }

    @Test(arguments: [
        ("{host}/{port}/{name}", "example.org/443/b.tar.gz"), ("{stem}-{line}{ext}", "b-3.tar.gz"),
        ("{list}/{job}{ext}", "4711/5f0c2e9a11d04b7e.tar.gz"), ("{dirs}/{stem}{ext}", "a/d/b.tar.gz"),
        ("x{{{name}}}", "x{b.tar.gz}"), ("{query}/{name}", "q=1/b.tar.gz"),
        ("{sha256:8}", "ff9bd5dd"), ("a//{name}", "a/b.tar.gz"),
    ])
    func `a template is filled in`(template: String, expected: String) throws {
        let made = try path(template, "/a/d/b.tar.gz", query: "q=1")
        #expect(template.hasPrefix("{sha") ? made.utf8.count == 8 : made == expected)
    }

    @Test func `fields that are empty leave no empty component`() throws {
        #expect(try path("{dirs}/{query}/{name}", "/b") == "b")
        #expect(try path("{query}", "/b") == "index")
        #expect(try path("a/{query}", "/b") == "a/index")
    }

    @Test(arguments: [
        "", "hostpath", "{nme}", "{name", "name}", "/{name}", "{name}/", "../{name}", "a/./{name}",
        "{sha256}", "{sha256:0}",
        "{sha256:65}", "{sha256:-1}", "{sha256:9999999999999999999999}", ".dld/{name}", "{name}\n", "{}",
        "{{name}}",
    ])
    func `a template that cannot be is an error`(template: String) {
        #expect(throws: LayoutError.self) { try OutputLayout(template: template) }
    }

    @Test(
        arguments: [
            ("x.iso", nil, "x.iso"), ("a/x.iso", nil, "a/x.iso"), ("./a//x", nil, "a/x"), (nil, "d", "d/b"),
            (nil, "d/e/", "d/e/b"),
            ("x", "d", "d/x"), (nil, "/srv/dld/d", "d/b"), (nil, "/srv/dld", "b"),
            (nil, "/srv//dld/./d", "d/b"), (nil, ".", "b"),
            (nil, "", "b"), ("/srv/dld/q/x", "d", "q/x"), ("a%2Fb", nil, "a%2Fb"), ("a\u{1b}b", nil, "a%1Bb"),
            (nil, "/srv/dldx", "!outside_output"), (nil, "/etc", "!outside_output"),
            (nil, "/", "!outside_output"),
            (nil, "..", "!outside_output"), (nil, "a/../..", "!outside_output"),
            (nil, "/srv/dld/../x", "!outside_output"),
            ("../x", nil, "!outside_output"), ("/etc/passwd", nil, "!outside_output"),
            ("a/..", nil, "!outside_output"),
            (".dld/id", nil, "!outside_output"), (nil, ".dld", "!outside_output"),
            (nil, "/srv/dld/.dld/x", "!outside_output"),
            (".DLD", nil, "!outside_output"), ("d/.dld", nil, "d/.dld"), ("", nil, "!bad_option"),
            ("a/", nil, "!bad_option"),
            (".", nil, "!bad_option"), ("/srv/dld", nil, "!bad_option"),
        ] as [(String?, String?, String)])
    func `out and dir stay below the output`(out: String?, dir: String?, expected: String) throws {
        #expect(try path("flat", "/a/b", out: out, dir: dir) == expected)
    }

    @Test func `roots are compared by bytes and by component`() throws {
        #expect(try path("flat", "/b", dir: "/e\u{301}/x", root: "/é") == "!outside_output")
        #expect(try path("flat", "/b", dir: "/any/x", root: "/") == "any/x/b")
        #expect(try path("flat", "/b", dir: "/srv/dld/x", root: "/srv/dld/") == "x/b")
    }

    @Test func `paths longer than Linux takes are shortened or refused`() throws {
        let deep = String(repeating: "/" + String(repeating: "d", count: 100), count: 60)
        let made = try path("host_path", deep + "/x.iso")
        #expect(made.utf8.count < 4000 && made.hasSuffix("/x.iso"))
        #expect(try path("host_path", deep + "/x.iso") == made)
        #expect(try path("host_path", deep + "/y/x.iso") != made)
        #expect(try path("flat", "/b", out: String(deep.dropFirst())) == "!bad_option")
        #expect(try path("flat", "/b", dir: String(deep.dropFirst())) == "!bad_option")
    }

    @Test func `a hostile URL never leaves the output`() throws {
        var generator = SplitMix(state: 11)
        let pieces = [
            "/", "..", ".", "%2e", "%2F", "%00", "%5c", "a", ".dld", "%2edld", "%", "%FF", "~", "\\",
        ]
        for template in ["flat", "host_path", "{dirs}/{name}", "{name}/{stem}{ext}", "{query}/{name}"] {
            for _ in 0..<500 {
                let text = (0..<8).compactMap { _ in pieces.randomElement(using: &generator) }.joined()
                let made = try path(template, "/" + text, query: text)
                let parts = made.split(separator: "/", omittingEmptySubsequences: false)
                #expect(!parts.contains { $0.isEmpty || $0 == "." || $0 == ".." })
                #expect(!OutputName.isReserved(Array(parts[0].utf8)))
            }
        }
    }
}
