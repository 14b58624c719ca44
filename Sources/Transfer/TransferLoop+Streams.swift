// SPDX-License-Identifier: Apache-2.0

import Curl
import JobModel

// Which transfers ride which connection: what tells how many streams a host allows.
extension TransferLoop {
    /// The head of an answer of HTTP/2 has come: what is seen of the connections to its host.
    mutating func sight(of token: UInt64) -> StreamSight {
        guard let transfer = active[token], let ride = transfer.ride else { return .one }
        let host = transfer.order.url.host
        tallies[host]?.answered(ride)
        answeredHosts.append(host)
        return tallies[host]?.sight ?? .one
    }

    /// At the end of a turn, when all that have ended in it have left.
    mutating func countStreams() {
        for (reception, connection) in tools.notes.rides {
            // Over again, or begun anew.
            guard reception.key != nil, let transfer = active[reception.order.token],
                transfer.reception === reception
            else { continue }
            leaveConnection(transfer)
            transfer.ride = connection
            let host = transfer.order.url.host
            let before = tallies[host]?.streams ?? 0
            tallies[host, default: StreamTally()].rode(connection)
            // Before the answers: they may wait for a body that is under way.
            if let number = transfer.order.streamsToProve, before < number, let tally = tallies[host],
                tally.streams >= number
            {
                tell(.carried(worker: worker, token: transfer.order.token, sight: tally.sight))
            }
        }
        tools.notes.rides.removeAll(keepingCapacity: true)
        for host in answeredHosts { tallies[host]?.turned() }
        answeredHosts.removeAll(keepingCapacity: true)
        for port in tools.notes.going {
            for host in tallies.keys { tallies[host]?.goesAway { $0.localPort == port } }
        }
        tools.notes.going.removeAll(keepingCapacity: true)
    }

    /// Its request is over, or has been given to another connection.
    mutating func leaveConnection(_ transfer: ActiveTransfer) {
        guard let ride = transfer.ride else { return }
        transfer.ride = nil
        let host = transfer.order.url.host
        tallies[host]?.left(ride)
        transfer.sight = tallies[host]?.sight
        if tallies[host]?.isEmpty ?? false { tallies[host] = nil }
    }
}
