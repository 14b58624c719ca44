// SPDX-License-Identifier: Apache-2.0

/// The version of all programs of the project, by semver.org.
public enum Version {
    public static let number = "0.1.0"
}
