// SPDX-License-Identifier: Apache-2.0

/// Whether what a failed job had received is kept for a later job of the same URL and path.
public enum PartRetention {
    /// Where the bytes themselves, or what was to become of them, were the fault, nobody goes on with them.
    public static func keeps(_ error: JobError?) -> Bool {
        guard let error else { return false }
        switch error.code {
        case .tooLarge, .badLength, .headerTooLarge: return false
        case .hostUnavailable, .jobDeadline: return true
        default: break
        }
        switch error.code.errorClass {
        case .dns, .connect, .tls, .http, .transfer: return true
        case .input, .policy, .integrity, .local, .cancelled: return false
        }
    }
}
