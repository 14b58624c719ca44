// SPDX-License-Identifier: Apache-2.0

/// Names that aria2 1.37 allows in an input file beyond those dld acts on (its manual, "Input File").
enum AriaOptions {
    /// Accepted with a remark: they ask for nothing that a whole, checked file depends on.
    static let known: Set<String> = [
        "all-proxy-passwd", "all-proxy-user", "allow-piece-length-change", "always-resume", "async-dns",
        "bt-enable-hook-after-hash-check", "bt-enable-lpd", "bt-exclude-tracker", "bt-external-ip",
        "bt-force-encryption", "bt-hash-check-seed", "bt-load-saved-metadata", "bt-max-peers",
        "bt-metadata-only",
        "bt-min-crypto-level", "bt-prioritize-piece", "bt-remove-unselected-file",
        "bt-request-peer-speed-limit",
        "bt-require-crypto", "bt-save-metadata", "bt-seed-unverified", "bt-stop-timeout", "bt-tracker",
        "bt-tracker-connect-timeout", "bt-tracker-interval", "bt-tracker-timeout", "check-integrity",
        "content-disposition-default-utf8", "dry-run", "enable-http-keep-alive", "enable-http-pipelining",
        "enable-mmap", "enable-peer-exchange", "file-allocation", "follow-metalink", "follow-torrent",
        "force-save",
        "ftp-passwd", "ftp-pasv", "ftp-proxy", "ftp-proxy-passwd", "ftp-proxy-user", "ftp-reuse-connection",
        "ftp-type",
        "ftp-user", "hash-check-only", "http-accept-gzip", "http-auth-challenge", "http-no-cache",
        "http-proxy",
        "http-proxy-passwd", "http-proxy-user", "https-proxy", "https-proxy-passwd", "https-proxy-user",
        "index-out",
        "max-file-not-found", "max-mmap-limit", "max-resume-failure-tries",
        "max-upload-limit", "metalink-base-uri", "metalink-enable-unique-protocol", "metalink-language",
        "metalink-location", "metalink-os", "metalink-preferred-protocol", "metalink-version",
        "no-file-allocation-limit", "no-netrc", "no-proxy", "no-want-digest-header", "parameterized-uri",
        "pause-metadata",
        "piece-length", "proxy-method", "realtime-chunk-checksum", "remove-control-file", "reuse-uri",
        "rpc-save-upload-metadata", "save-not-found", "save-upload-metadata", "seed-ratio", "seed-time",
        "select-file",
        "ssh-host-key-md", "stream-piece-selector", "uri-selector", "use-head",
        // Global in aria2, but seen in people's files.
        "ca-certificate", "certificate", "private-key", "force-sequential", "max-concurrent-downloads",
        "max-overall-download-limit", "load-cookies", "save-cookies", "netrc-path", "disable-ipv6", "quiet",
        "log", "log-level", "save-session", "save-session-interval", "continue-session",
    ]
}
