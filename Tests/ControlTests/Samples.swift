// SPDX-License-Identifier: Apache-2.0

import ControlAPI
import ControlClient
import JobModel

/// Documents for tests. Times are on 2026-11-22, shown as UTC.
enum Samples {
    static func at(_ hour: Int64, _ minute: Int64, _ second: Int64 = 0) -> Timestamp {
        Timestamp(WallTime(milliseconds: 1_795_305_600_000 + ((hour * 60 + minute) * 60 + second) * 1000))
    }
    /// `03:40`, or with seconds.
    static let style = ViewStyle { time, seconds in
        let text = Timestamp(time).description.dropFirst(11)
        return String(text.prefix(seconds ? 8 : 5))
    }

    static func idle() -> StatusDocument {
        var status = StatusDocument()
        status.verdict = "idle"
        status.version = "0.1.0"
        status.pid = 4711
        status.now = at(3, 12)
        status.startedAt = at(0, 12)
        status.uptimeSeconds = 10_800
        status.sums.isUp = true
        status.sums.pid = 4712
        status.sums.workerPids = [4713, 4714]
        status.disks = [disk(free: 180 << 30)]
        status.memory.rssBytes = 24 << 20
        return status
    }

    static func disk(free: Int64) -> DiskStatus {
        var disk = DiskStatus()
        disk.role = "output"
        disk.path = "/srv/dld"
        disk.free = free
        disk.total = 250 << 30
        disk.reserve = 5 << 30
        return disk
    }

    static func list() -> ListDocument {
        var list = ListDocument()
        list.id = 4711
        list.name = "hourly.txt"
        list.state = .running
        list.jobs.queued = 2_913_984
        list.jobs.active = 16
        list.jobs.waiting = 3
        list.jobs.done = 85_985
        list.jobs.failed = 12
        list.done = 85_985
        list.failed = 12
        list.total = 3_000_000
        list.bytes = 1 << 40
        list.rate = 41_000_000
        list.secondsLeft = 21_600
        list.admittedAt = at(0, 30)
        return list
    }

    static func busy() -> StatusDocument {
        var status = idle()
        status.state = .running
        status.lists = [list()]
        var second = ListDocument()
        second.id = 4712
        second.name = "nightly-mirror-of-a-place-with-a-very-long-name-indeed.jsonl"
        second.paused = true
        second.state = .running
        second.jobs.paused = 200
        second.total = 200
        status.lists.append(second)
        status.listsTotal = 2
        for list in status.lists { status.jobs += list.jobs }
        status.transfers = [
            transfer(
                "debian/pool/main/l/linux/linux-image-6.1.0-amd64_6.1.90-1_amd64.deb", 367 << 20, 700 << 20),
            transfer("a/b.iso", 5 << 30, nil),
        ]
        status.transfersTotal = 16
        status.hosts = [host("example.org", connections: 6, active: 16), heldHost()]
        status.hostsTotal = 2
        status.waiting = [held(), backoff()]
        status.workers = [
            worker("dld-xfer-0", active: 9), worker("dld-xfer-1", active: 7), worker("dld-ledger", active: 0),
        ]
        status.sums.running = 2
        status.sums.queued = 14
        status.totals.bytes = 1_319_413_953_331
        status.totals.rate = 41_000_000
        status.totals.done = 85_985
        status.totals.failed = 12
        status.totals.secondsLeft = 21_600
        status.memory.rssBytes = 38 << 20
        status.errors = [error()]
        status.verdict = Verdict.words(for: status) { style.clock($0, false) }
        return status
    }

    static func transfer(_ path: String, _ bytes: Int64, _ total: Int64?) -> TransferStatus {
        var transfer = TransferStatus()
        transfer.job = "5f0c2e9a11d04b7e"
        transfer.list = 4711
        transfer.url = "https://example.org/\(path)"
        transfer.host = "example.org"
        transfer.path = path
        transfer.bytes = bytes
        transfer.total = total
        transfer.rate = 12_300_000
        transfer.worker = "xfer-0"
        return transfer
    }
    static func host(_ name: String, connections: Int, active: Int) -> HostDocument {
        var host = HostDocument()
        host.host = name
        host.connections = connections
        host.connectionLimit = 6
        host.active = active
        host.httpVersion = "2"
        host.queued = 1_913_984
        return host
    }
    static func heldHost() -> HostDocument {
        var host = HostDocument()
        host.host = "mirror.example.net"
        host.queued = 1_000_000
        host.heldUntil = at(3, 40)
        host.reason = "429"
        return host
    }
    static func held() -> WaitingStatus {
        var group = WaitingStatus()
        group.reason = .hostHeld
        group.host = "mirror.example.net"
        group.count = 1_000_000
        group.until = at(3, 40)
        group.detail = "429"
        return group
    }
    static func backoff() -> WaitingStatus {
        var group = WaitingStatus()
        group.count = 3
        group.until = at(3, 13)
        return group
    }
    static func worker(_ name: String, active: Int) -> WorkerStatus {
        var worker = WorkerStatus()
        worker.name = name
        worker.active = active
        worker.connections = active / 3
        worker.rate = Double(active) * 2_500_000
        worker.heartbeatAgeSeconds = 0.2
        return worker
    }
    static func error() -> ErrorStatus {
        var error = ErrorStatus()
        error.when = at(3, 11, 59)
        error.job = "5f0c2e9a11d04b7e"
        error.list = 4711
        error.line = 17
        error.code = "http_404"
        error.message = "example.org answered 404 Not Found for /a/b/\u{1B}[31mevil.iso"
        error.host = "example.org"
        return error
    }

    static func download() -> JobDocument {
        var job = JobDocument()
        job.list = 4711
        job.line = 3
        job.job = "5f0c2e9a11d04b7e"
        job.state = .waiting
        job.attempts = 2
        job.wait = WaitDocument(reason: .backoff, until: at(3, 13))
        job.timings.queued = 1_200_000
        job.download.urls = ["https://user:***@example.org/a/b.iso"]
        job.download.url = job.download.urls[0]
        job.download.host = "example.org"
        return job
    }
    static func sum() -> JobDocument {
        var job = JobDocument()
        job.list = 4711
        job.line = 4
        job.job = "00000000000000ab"
        job.kind = .sum
        job.state = .done
        job.attempts = 1
        job.startedAt = at(3, 1)
        job.endedAt = at(3, 2)
        job.timings.run = 12_900_000
        job.timings.cpu = 12_800_000
        job.sum.from = "0"
        job.sum.to = "100000000"
        job.sum.value = "5000000050000000"
        return job
    }

    static func metrics() -> MetricsDocument {
        var metrics = MetricsDocument()
        metrics.version = "0.1.0"
        metrics.startedAt = at(0, 12).time
        metrics.jobs.queued = 7
        metrics.errors = ["http_404": 3, "timeout": 1]
        metrics.queues = ["dispatch": 7, "publish": 0]
        metrics.fetchedBytes = 123_456_789_012
        metrics.firstByte.observe(0.04)
        metrics.firstByte.observe(99)
        metrics.total.observe(5)
        metrics.disks = [disk(free: 5 << 30)]
        return metrics
    }
}
