// SPDX-License-Identifier: Apache-2.0

import JobModel
import Testing

struct ShellQuotingTests {
    static let names: [([UInt8], String)] =
        [
            ("plain", "plain"), ("dir/a-b_c.d,e+f@g%h]", "dir/a-b_c.d,e+f@g%h]"), ("é", "é"), ("", "''"),
            ("a b", "'a b'"), ("a:b", "'a:b'"), ("a$b", "'a$b'"), ("a\\b", "'a\\b'"), ("a=b", "'a=b'"),
            ("it's", "\"it's\""), ("it's a:é", "\"it's a:é\""), ("it's $5", "'it'\\''s $5'"),
            ("'{", "''\\''{'"),
            ("#a", "'#a'"), ("a#", "a#"), ("~", "'~'"), ("a~", "a~"), ("{", "'{'"), ("a{", "a{"),
            ("a\nb", "'a'$'\\n''b'"), ("\t", "''$'\\t'"), ("a\n\r'b", "'a'$'\\n\\r'\\''b'"),
            ("\u{1}\u{7F}\u{80}", "''$'\\001\\177\\302\\200'"), ("\u{1B}[0m", "''$'\\033''[0m'"),
        ].map { (Array($0.utf8), $1) } + [
            ([0x61, 0xFF], "'a'$'\\377'"), ([0xC3, 0x28, 0x62], "''$'\\303''(b'"),
            ([0xE2, 0x82], "''$'\\342\\202'"),
        ]

    @Test(arguments: names) func `a name is shown as coreutils quote it`(name: [UInt8], shown: String) {
        #expect(ShellQuoting.quoted(name) == shown)
    }
}
