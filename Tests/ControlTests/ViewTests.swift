// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import ControlClient
import JobModel
import Testing

@Suite struct ViewTests {
    private func lines(_ status: StatusDocument) -> [String] {
        StatusView.text(status, Samples.style).split(separator: "\n", omittingEmptySubsequences: false).map {
            String($0)
        }
    }
    private func expectFits(_ text: String, _ columns: Int = 80) {
        for line in text.split(separator: "\n") {
            #expect(TextWidth.columns(String(line)) <= columns, "\(line)")
            #expect(line.last != " ", "\(line)|")
        }
    }

    @Test func `an idle daemon fits in a hand`() {
        let text = StatusView.text(Samples.idle(), Samples.style)
        #expect(
            text == """
                idle

                dld        0.1.0, pid 4711, up 3 h, 24 MiB of memory
                Sums       2 processes, idle
                Disk       /srv/dld: 180 GiB of 250 GiB free

                """)
    }

    @Test func `a busy daemon is one screen, aligned, the verdict first`() {
        let text = StatusView.text(Samples.busy(), Samples.style)
        expectFits(text)
        #expect(text == Self.busy, "\(text)")
    }

    @Test func `nothing but the verdict's words changes when colour comes`() {
        var style = Samples.style
        style.isColored = true
        let colored = StatusView.text(Samples.busy(), style)
        #expect(colored.hasPrefix("\u{1B}[1;32mrunning: 16 transfers"))
        var plain = ""
        var isEscape = false
        for character in colored {
            if character == "\u{1B}" { isEscape = true }
            if !isEscape { plain.append(character) }
            if isEscape, character == "m" { isEscape = false }
        }
        #expect(plain == Self.busy)
    }

    @Test func `a held host says until when and why`() {
        var status = Samples.idle()
        status.state = .waiting
        status.jobs.queued = 1_000_000
        status.waiting = [Samples.held()]
        status.hosts = [Samples.heldHost()]
        status.hostsTotal = 1
        status.verdict = Verdict.words(for: status) { Samples.style.clock($0, false) }
        let text = StatusView.text(status, Samples.style)
        expectFits(text)
        #expect(text.hasPrefix("waiting: 1,000,000 jobs for mirror.example.net, held until 03:40 (429)\n"))
        #expect(text.contains("held until 03:40 (429)\n"))
    }

    @Test func `a full disk, a refused configuration and a dead sumd stand out`() {
        var status = Samples.idle()
        status.state = .paused
        status.pauseReason = "/srv/dld has 0.8 of 5 GiB free"
        status.disks = [Samples.disk(free: 858_993_459)]
        status.config.state = .stale
        status.config.reason = "workers: expected a number, found \"many\""
        status.sums.isUp = false
        status.sums.restarts = 3
        status.verdict = Verdict.words(for: status) { Samples.style.clock($0, false) }
        #expect(
            lines(status) == [
                "paused: /srv/dld has 0.8 of 5 GiB free", "",
                "dld        0.1.0, pid 4711, up 3 h, 24 MiB of memory",
                "Config     on disk is refused, the old one stays: workers: expected a number,",
                "           found \"many\"",
                "Sums       sumd is not running, restarted 3 times",
                "Disk       /srv/dld: 819 MiB of 250 GiB free, 5 GiB must stay free", "",
            ])
    }

    @Test func `a hostile name cannot move the cursor or break a line`() {
        var status = Samples.busy()
        status.lists[0].name = "a\u{1B}[2J\nb\u{202E}c.txt"
        status.transfers[0].path = String(repeating: "世界", count: 60) + "\r.iso"
        let text = StatusView.text(status, Samples.style)
        expectFits(text)
        #expect(
            text.unicodeScalars.allSatisfy {
                $0 == "\n" || $0.value >= 32 && $0.value != 0x7F && $0.value != 0x202E
            })
        #expect(text.contains("\\u{1b}"))
    }

    @Test func `what is more than a screen is counted, not listed`() {
        var status = Samples.busy()
        status.transfers = (0..<40).map { Samples.transfer("file-\($0).bin", 1, 100) }
        status.transfersTotal = 1024
        let text = StatusView.text(status, Samples.style)
        #expect(text.contains("  and 1,014 more\n"))
        var all = Samples.style
        all.showsAll = true
        #expect(StatusView.text(status, all).contains("  and 984 more\n"))
    }

    @Test func `text is cut in the middle, by columns`() {
        #expect(TextWidth.truncated("abcdefghij", to: 10) == "abcdefghij")
        #expect(TextWidth.truncated("abcdefghijk", to: 10) == "abcd...ijk")
        #expect(TextWidth.columns("e\u{301}") == 1)
        #expect(TextWidth.columns("世界") == 4)
        #expect(TextWidth.columns(TextWidth.truncated(String(repeating: "世", count: 20), to: 11)) <= 11)
        #expect(TextWidth.truncated("abcdef", to: 2) == "..")
    }

    @Test func `lists, jobs and hosts are tables that fit`() {
        var ended = Samples.list()
        ended.state = .closed
        let lists = ListsView.text([Samples.list(), ended], next: "4711", Samples.style)
        expectFits(lists)
        #expect(lists.contains("more: --after 4711, or --all\n"))
        #expect(ListsView.text([], next: nil, Samples.style) == "no lists\n")
        let jobs = JobsView.text([Samples.download(), Samples.sum()], next: nil, Samples.style)
        expectFits(jobs)
        #expect(jobs.contains("backoff 03:13"))
        #expect(jobs.contains("sum 0..100000000"))
        expectFits(HostsView.text([Samples.heldHost()], next: nil, Samples.style))
    }

    @Test func `show tells every fact once`() {
        let text = ShowView.text(Samples.download(), Samples.style)
        #expect(text.contains("waits for    backoff until 03:13\n"))
        #expect(text.contains("url          https://user:***@example.org/a/b.iso\n"))
        #expect(text.contains("  queued     1.2 ms\n"))
        let sum = ShowView.text(Samples.sum(), Samples.style)
        #expect(sum.contains("value        5000000050000000\n"))
        let list = ShowView.text(Samples.list(), Samples.style)
        #expect(list.contains("  failed     12\n"))
    }

    @Test func `numbers are short and honest`() {
        #expect(Quantity.count(2_914_003) == "2,914,003")
        #expect(Quantity.count(-1234) == "-1,234")
        #expect(Quantity.size(1_048_575) == "1 MiB")
        #expect(Quantity.size(1_288_490_189) == "1.2 GiB")
        #expect(Quantity.size(512) == "512 B")
        #expect(Quantity.rate(41_000_000) == "41 MB/s")
        #expect(Quantity.rate(.infinity) == "0 B/s")
        #expect(Quantity.time(21_600) == "6 h")
        #expect(Quantity.time(59.6) == "60 s")
        #expect(Quantity.time(.nan) == "101 years")
        #expect(Quantity.time(-1) == "0 s")
        #expect(Quantity.percent(999, of: 1000) == "99 %")
        #expect(Quantity.percent(1000, of: 1000) == "100 %")
        #expect(Quantity.part(858_993_459, of: 5 << 30) == "0.8 of 5 GiB")
    }

    @Test func `the verdict has words for every state`() {
        func verdict(_ change: (inout StatusDocument) -> Void) -> String {
            var status = Samples.idle()
            change(&status)
            return Verdict.words(for: status) { Samples.style.clock($0, false) }
        }
        #expect(verdict { _ in } == "idle")
        #expect(verdict { $0.state = .starting } == "starting")
        #expect(verdict { $0.state = .draining } == "draining")
        #expect(
            verdict {
                $0.state = .draining
                $0.transfersTotal = 3
            } == "draining: 3 transfers to end")
        #expect(
            verdict { $0 = Samples.busy() }
                == "running: 16 transfers and 2 sums, 41 MB/s, 2,914,203 of 3,000,200 left, about 6 h")
        #expect(verdict { $0.jobs.paused = 1 } == "waiting: 1 paused job")
        #expect(verdict { $0.jobs.queued = 2 } == "running: about to start 2 jobs")
        #expect(
            verdict {
                $0.jobs.waiting = 3
                $0.waiting = [Samples.backoff()]
            } == "waiting: 3 jobs to be tried again, the next at 03:13")
        for reason in WaitReason.allCases {
            var group = WaitingStatus()
            group.reason = reason
            group.count = 1
            #expect(Verdict.words(for: group) { _ in "03:40" }.hasPrefix("1 job"))
        }
    }

    static let busy = """
        running: 16 transfers and 2 sums, 41 MB/s, 2,914,203 of 3,000,200 left,
          about 6 h

        dld        0.1.0, pid 4711, up 3 h, 38 MiB of memory
        Jobs       2,913,984 queued, 16 active, 3 waiting, 200 paused, 85,985 done,
                   12 failed
        Fetched    1.2 TiB since the start, 85,985 done, 12 failed
        Sums       2 processes, 2 running, 14 queued
        Disk       /srv/dld: 180 GiB of 250 GiB free

        Lists                          state      done  failed      total     rate  left
          4711  hourly.txt             running  85,985      12  3,000,000  41 MB/s   6 h
          4712  nightly-m...eed.jsonl  paused        0       0        200

        Transfers                             host                         size     rate
          debian/pool/main....90-1_amd64.deb  example.org  52 %  367 of 700 MiB  12 MB/s
          a/b.iso                             example.org                 5 GiB  12 MB/s
          and 14 more

        Hosts                 conn  active  HTTP     queued
          example.org            6      16  2     1,913,984
          mirror.example.net     0       0        1,000,000  held until 03:40 (429)

        Waiting
          1,000,000 jobs for mirror.example.net, held until 03:40 (429)
          3 jobs to be tried again, the next at 03:13

        Threads       transfers  connections     rate  last seen
          dld-xfer-0          9            3  23 MB/s        now
          dld-xfer-1          7            2  18 MB/s        now
          dld-ledger                                         now

        Last errors  job               code
          03:11:59   5f0c2e9a11d04b7e  http_404  example.org answer...\\u{1b}[31mevil.iso

        """
}
