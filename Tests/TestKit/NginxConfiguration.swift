// SPDX-License-Identifier: Apache-2.0

import Glibc

extension Nginx {
    /// The whole nginx.conf: nothing of the system's configuration is read, nothing outside `directory` is written.
    static func configuration(
        _ setup: Setup, directory: TempDirectory, root: String, authority: TestAuthority?, port: UInt16,
        tlsPort: UInt16?
    ) -> String {
        var listeners = setup.addresses.map { "listen \($0):\(port) backlog=1024;" }
        if let tlsPort, let authority {
            let http2 = setup.hasHTTP2 ? " http2" : ""
            listeners += setup.addresses.map { "listen \($0):\(tlsPort) ssl\(http2) backlog=1024;" }
            listeners += [
                "ssl_certificate \(authority.certificate);", "ssl_certificate_key \(authority.key);",
            ]
        }
        let statuses = [401, 403, 404, 410, 500, 502, 503].map {
            "location = /status/\($0) { return \($0); }"
        }
        // Without this line a master started by root would give its workers a user who may not read the directory.
        let user = geteuid() == 0 ? "user root;" : ""
        return """
            \(user)
            worker_processes \(setup.workers);
            daemon off;
            pid \(directory.path)/nginx.pid;
            error_log \(directory.path)/error.log warn;
            events { worker_connections 4096; }
            http {
                default_type application/octet-stream;
                log_format kit escape=json \(logFormat);
                access_log \(directory.path)/access.log kit;
                client_body_temp_path \(directory.path)/body;
                proxy_temp_path \(directory.path)/proxy;
                fastcgi_temp_path \(directory.path)/fastcgi;
                uwsgi_temp_path \(directory.path)/uwsgi;
                scgi_temp_path \(directory.path)/scgi;
                sendfile on;
                keepalive_requests \(setup.keepaliveRequests);
                server {
                    \(listeners.joined(separator: "\n        "))
                    root \(root);
                    absolute_redirect off;
                    location /slow/ { limit_rate \(setup.slowRate); alias \(root)/; }
                    location = /drop { return 444; }
                    location = /status/429 { add_header Retry-After 1 always; return 429; }
                    \(statuses.joined(separator: "\n        "))
                    location ~ ^/redirect/(?<target>.*)$ { return 302 /$target; }
                    \(setup.directives)
                }
            }

            """
    }

    private static var logFormat: String {
        let texts = [
            "method": "request_method", "uri": "request_uri", "protocol": "server_protocol",
            "host": "http_host",
            "address": "server_addr", "port": "server_port", "range": "http_range",
            "ifRange": "http_if_range",
            "agent": "http_user_agent",
        ]
        let numbers = [
            "connection": "connection", "requests": "connection_requests", "status": "status",
            "bytes": "body_bytes_sent", "seconds": "request_time",
        ]
        let fields =
            texts.map { "\"\($0.key)\":\"$\($0.value)\"" } + numbers.map { "\"\($0.key)\":$\($0.value)" }
        return "'{\(fields.sorted().joined(separator: ","))}'"
    }
}
