// SPDX-License-Identifier: Apache-2.0

public import LinuxKit

/// What all workers share, fixed for their life.
public struct TransferSettings: Sendable {
    /// Directory of the part files. Opened when the first part needs it, and again after trouble with it.
    public var partsDirectory: String
    /// Directory that preflights look into.
    public var outputRoot: String
    /// Connections kept open by one worker.
    public var connectionCacheSize: Int
    /// Connections of one worker to one host, as the backstop; 0 is no limit.
    public var connectionsPerHost: Int
    /// Streams on one HTTP/2 connection.
    public var streamsPerConnection: Int
    /// For everything.
    public var totalLimiter: RateLimiter?
    /// Shared by all workers: whole parts kept open until they are synced.
    public var purse: DescriptorPurse
    /// What is worth asking for room waits for `granted` before its first byte.
    public var asksForRoom = false
    /// False under `durability: none`: a cancelled part is not synced.
    public var isDurable: Bool
    /// A checkpoint is reported after so many further bytes, or after so long where there are any; looked at
    /// four times a second.
    public var checkpointBytes: Int64
    public var checkpointInterval: Duration

    public init(
        partsDirectory: String, outputRoot: String, connectionCacheSize: Int = 64,
        connectionsPerHost: Int = 0,
        streamsPerConnection: Int = 32, totalLimiter: RateLimiter? = nil,
        purse: DescriptorPurse = DescriptorPurse(limit: 0), isDurable: Bool = true,
        checkpointBytes: Int64 = 16 << 20, checkpointInterval: Duration = .seconds(5)
    ) {
        self.partsDirectory = partsDirectory
        self.outputRoot = outputRoot
        self.connectionCacheSize = connectionCacheSize
        self.connectionsPerHost = connectionsPerHost
        self.streamsPerConnection = streamsPerConnection
        self.totalLimiter = totalLimiter
        self.purse = purse
        self.isDurable = isDurable
        self.checkpointBytes = checkpointBytes
        self.checkpointInterval = checkpointInterval
    }
}
