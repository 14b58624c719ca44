// SPDX-License-Identifier: Apache-2.0

import Curl
import JobModel
import SystemPackage

/// libcurl's codes and errno values as signs of the uplink.
enum UplinkMap {
    static func sign(_ facts: BreakFacts) -> UplinkSign {
        if facts.isPastDeadline, facts.error.code == .timedOut { return .none }
        switch facts.error.code {
        case .cannotResolveHost, .cannotResolveProxy: return .noName
        case .cannotConnect: return connect(Errno(rawValue: facts.error.systemCode))
        case .timedOut: return facts.isAccepted || facts.isConnected ? .stalled : .noAnswer
        case .partialFile, .gotNothing, .http2, .http2Stream, .receiveError, .sendError:
            // The kernel gave up on a connection that stood; else the peer ended it, and that is an answer.
            return isSilence(facts.error.detail ?? "") ? .stalled : .answered
        case .tlsConnect, .tlsPeerVerification, .tlsIssuer, .tlsCipher, .tlsShutdown:
            return isSilence(facts.error.detail ?? "") ? .stalled : .answered
        default: return facts.hasHead ? .answered : .none
        }
    }

    private static func connect(_ code: Errno) -> UplinkSign {
        switch code {
        case .connectionRefused, .connectionReset: .answered
        case .networkUnreachable, .networkDown: .noRoute
        // From the next router, or from this machine: nobody answers to the address.
        case .noRouteToHost, .hostIsDown, .timedOut, Errno(rawValue: 0): .noAnswer
        default: .none
        }
    }

    /// libcurl keeps no errno of a send or receive; its sentence ends in strerror's words.
    private static func isSilence(_ detail: String) -> Bool {
        ["timed out", "unreachable", "No route to host", "is down"].contains { detail.contains($0) }
    }
}
