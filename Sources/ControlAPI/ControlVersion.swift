// SPDX-License-Identifier: Apache-2.0

/// The version of the project, as `--version` of its programs says it: daemon and dlctl are built together.
public enum ControlVersion {
    public static let text = "0.1.0"
}
