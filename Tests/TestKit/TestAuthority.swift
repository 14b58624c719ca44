// SPDX-License-Identifier: Apache-2.0

/// A throw-away certificate authority with one server certificate, made by the `openssl` program.
///
/// The certificate names `localhost`, 127.0.0.1 and 127.0.0.2. Nothing of it is kept in the repository: certificates
/// in a repository expire.
public final class TestAuthority: Sendable {
    private let directory: TempDirectory
    /// PEM of the authority: what a client must trust (`network.ca_file`).
    public var caFile: String { directory.sub("ca.pem") }
    public var certificate: String { directory.sub("server.pem") }
    public var key: String { directory.sub("server.key") }

    public init() throws {
        directory = try TempDirectory()
        try directory.file(
            "server.ext",
            """
            subjectAltName=DNS:localhost,IP:127.0.0.1,IP:127.0.0.2
            basicConstraints=CA:FALSE
            extendedKeyUsage=serverAuth
            """)
        let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        try openssl(
            [
                "req", "-x509", "-days", "2", "-subj", "/CN=dld test authority", "-keyout", "ca.key", "-out",
                "ca.pem",
            ]
                + curve)
        try openssl(["req", "-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.csr"] + curve)
        try openssl([
            "x509", "-req", "-days", "2", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-CAcreateserial", "-extfile", "server.ext", "-out", "server.pem",
        ])
    }

    /// Another server certificate of this authority.
    ///
    /// - Parameters:
    ///   - names: as in subjectAltName: `DNS:localhost,IP:127.0.0.1`.
    ///   - isExpired: it ended yesterday.
    public func issue(_ file: String, names: String, isExpired: Bool = false) throws -> Certificate {
        try directory.file("\(file).ext", "subjectAltName=\(names)\nextendedKeyUsage=serverAuth\n")
        let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        try openssl(["req", "-subj", "/CN=\(file)", "-keyout", "\(file).key", "-out", "\(file).csr"] + curve)
        try openssl([
            "x509", "-req", "-days", isExpired ? "-1" : "2", "-in", "\(file).csr", "-CA", "ca.pem", "-CAkey",
            "ca.key", "-CAcreateserial", "-extfile", "\(file).ext", "-out", "\(file).pem",
        ])
        return Certificate(file: directory.sub("\(file).pem"), key: directory.sub("\(file).key"))
    }

    /// PEM files of a server.
    public struct Certificate: Sendable {
        public let file: String
        public let key: String
        public init(file: String, key: String) {
            self.file = file
            self.key = key
        }
    }

    private func openssl(_ arguments: [String]) throws {
        let run = try ProgramRun.run(try ProgramRun.find("openssl"), arguments, directory: directory.path)
        guard run.status == 0 else { throw KitError(run.transcript) }
    }
}
