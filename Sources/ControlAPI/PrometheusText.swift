// SPDX-License-Identifier: Apache-2.0

import JobModel

/// Writes `GET /metrics` in Prometheus' text format 0.0.4. Pure: the same numbers give the same bytes.
public enum PrometheusText {
    public static func write(_ metrics: MetricsDocument) -> String {
        var page = Page()
        page.gauge(
            "dld_build_info", "Version of the daemon; always 1.", [([("version", metrics.version)], 1)])
        page.gauge(
            "dld_start_time_seconds", "When the daemon started.", Double(metrics.startedAt.rawValue) / 1000)
        page.gauge(
            "dld_state", "What the daemon is doing: 1 for the present state.",
            DaemonState.allCases.map { ([("state", $0.rawValue)], $0 == metrics.state ? 1 : 0) })
        page.gauge(
            "dld_config_stale", "1 if the configuration on disk was refused at the last reload.",
            metrics.isConfigStale ? 1 : 0)
        writeJobs(metrics, to: &page)
        writeTransfers(metrics, to: &page)
        writeSums(metrics, to: &page)
        writeAudits(metrics, to: &page)
        writeDisks(metrics.disks, to: &page)
        page.gauge(
            "dld_resident_memory_bytes", "Resident memory of the daemon.", Double(metrics.residentBytes))
        return page.text
    }

    private static func writeJobs(_ metrics: MetricsDocument, to page: inout Page) {
        page.gauge(
            "dld_jobs", "Jobs of open lists by state.",
            JobState.allCases.map { ([("state", $0.name)], Double(metrics.jobs[$0])) })
        page.gauge("dld_lists_open", "Lists that have not ended.", Double(metrics.openLists))
        page.counter(
            "dld_jobs_ended_total", "Jobs that ended, by state.",
            [
                ([("state", "done")], Double(metrics.jobsDone)),
                ([("state", "failed")], Double(metrics.jobsFailed)),
                ([("state", "cancelled")], Double(metrics.jobsCancelled)),
            ])
        page.gauge(
            "dld_queue_length", "Jobs or messages waiting, by queue.",
            metrics.queues.sorted { $0.key < $1.key }.map { ([("queue", $0.key)], Double($0.value)) })
        page.histogram("dld_job_total_seconds", "From a job's admission to its end.", metrics.total)
    }

    private static func writeTransfers(_ metrics: MetricsDocument, to page: inout Page) {
        page.counter("dld_fetched_bytes_total", "Body bytes received.", Double(metrics.fetchedBytes))
        page.counter("dld_published_bytes_total", "Bytes of finished files.", Double(metrics.publishedBytes))
        page.counter("dld_attempts_total", "Attempts begun.", Double(metrics.attempts))
        page.counter("dld_retries_total", "Attempts after a job's first.", Double(metrics.retries))
        page.counter(
            "dld_errors_total", "Attempts that broke, by error code.",
            metrics.errors.sorted { $0.key < $1.key }.map { ([("code", $0.key)], Double($0.value)) })
        page.counter(
            "dld_connections_opened_total", "Connections opened to servers.",
            Double(metrics.connectionsOpened))
        page.gauge("dld_transfers_active", "Transfers under way.", Double(metrics.activeTransfers))
        page.gauge("dld_connections", "Connections to servers.", Double(metrics.connections))
        page.gauge(
            "dld_hosts_held", "Hosts that nothing is started for until a hold ends.",
            Double(metrics.heldHosts))
        page.gauge(
            "dld_hosts_breaker_open",
            "Hosts that refused connections again and again; a scout asks now and then.",
            Double(metrics.openBreakers))
        page.counter(
            "dld_host_unavailable_total", "Jobs that failed because their host was given up.",
            Double(metrics.hostUnavailable))
        page.histogram(
            "dld_first_byte_seconds", "From the start of an attempt to the first byte of its body.",
            metrics.firstByte)
    }

    private static func writeAudits(_ metrics: MetricsDocument, to page: inout Page) {
        let counts = metrics.verifiedFiles
        page.counter(
            "dld_verify_files_total", "Published files that audits looked at, by what came of it.",
            AuditVerdict.allCases.map { ([("verdict", $0.name)], Double(counts[$0])) }
                + [([("verdict", "skipped")], Double(counts.skipped))])
        page.counter(
            "dld_verify_bytes_total", "Bytes of published files that audits looked at.",
            Double(metrics.verifiedBytes))
        page.counter(
            "dld_verify_repairs_total", "Files that audits queued again.", Double(metrics.verifyRepairs))
        page.gauge("dld_verify_open", "Audits that have not ended.", Double(metrics.openAudits))
    }

    private static func writeDisks(_ disks: [DiskStatus], to page: inout Page) {
        func samples(_ value: (DiskStatus) -> Double) -> [Page.Sample] {
            disks.map { ([("role", $0.role), ("path", $0.path)], value($0)) }
        }
        page.gauge(
            "dld_disk_free_bytes", "Free bytes on the file systems dld writes to.",
            samples { Double($0.free) })
        page.gauge(
            "dld_disk_reserved_bytes", "Bytes that must stay free (limits.min_free).",
            samples { Double($0.reserve) })
        page.gauge(
            "dld_disk_promised_bytes", "Bytes that transfers under way have still to write.",
            samples { Double($0.promised) })
        page.gauge(
            "dld_disk_paused", "1 while nothing starts there: full, read-only, refused or not mounted.",
            samples { $0.paused == nil ? 0 : 1 })
    }

    private static func writeSums(_ metrics: MetricsDocument, to page: inout Page) {
        page.gauge(
            "dld_sum_jobs", "Sum and digest jobs with the sum processes.",
            [
                ([("state", "running")], Double(metrics.sumsRunning)),
                ([("state", "queued")], Double(metrics.sumsQueued)),
            ])
        page.counter(
            "dld_sum_jobs_ended_total", "Sum and digest jobs that ended.",
            [
                ([("state", "done")], Double(metrics.sumsDone)),
                ([("state", "failed")], Double(metrics.sumsFailed)),
            ])
        page.counter("dld_sum_restarts_total", "Restarts of the sum processes.", Double(metrics.sumRestarts))
        page.counter(
            "dld_sum_cpu_seconds_total", "CPU time spent on sums and digests.", metrics.sumCPUSeconds)
    }
}

/// The page under construction. A family without samples is left out: Prometheus takes it, but it says
/// nothing.
private struct Page {
    var text = ""

    typealias Sample = (labels: [(String, String)], value: Double)

    mutating func gauge(_ name: String, _ help: String, _ value: Double) {
        family(name, help, "gauge", [([], value)])
    }
    mutating func gauge(_ name: String, _ help: String, _ samples: [Sample]) {
        family(name, help, "gauge", samples)
    }
    mutating func counter(_ name: String, _ help: String, _ value: Double) {
        family(name, help, "counter", [([], value)])
    }
    mutating func counter(_ name: String, _ help: String, _ samples: [Sample]) {
        family(name, help, "counter", samples)
    }

    private mutating func family(_ name: String, _ help: String, _ type: String, _ samples: [Sample]) {
        guard !samples.isEmpty else { return }
        head(name, help, type)
        for sample in samples { line(name, sample.labels, sample.value) }
    }

    mutating func histogram(_ name: String, _ help: String, _ histogram: Histogram) {
        head(name, help, "histogram")
        var running = 0
        for (bound, count) in zip(histogram.bounds, histogram.counts) {
            running += count
            line(name + "_bucket", [("le", Self.number(bound))], Double(running))
        }
        line(name + "_bucket", [("le", "+Inf")], Double(histogram.count))
        line(name + "_sum", [], histogram.sum)
        line(name + "_count", [], Double(histogram.count))
    }

    private mutating func head(_ name: String, _ help: String, _ type: String) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
    }

    private mutating func line(_ name: String, _ labels: [(String, String)], _ value: Double) {
        text += name
        if !labels.isEmpty {
            text += "{" + labels.map { "\($0.0)=\"\(Self.escaped($0.1))\"" }.joined(separator: ",") + "}"
        }
        text += " \(Self.number(value))\n"
    }

    /// Whole numbers without a point; Swift's shortest form for the rest.
    private static func number(_ value: Double) -> String {
        if value == value.rounded(), abs(value) < 9e15 { return String(Int64(value)) }
        return "\(value)"
    }

    /// Backslash, quote and line feed, as the format asks for in label values.
    private static func escaped(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": result += "\\\\"
            case "\"": result += "\\\""
            case "\n": result += "\\n"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
