// SPDX-License-Identifier: Apache-2.0

/// The part of schema version 3 that the removal of old lists brought.
enum RetentionSchema {
    static let statements = [
        "CREATE INDEX list_age ON list (ended_at) WHERE state BETWEEN 2 AND 3",
        "CREATE INDEX list_removing ON list (id) WHERE state = 4",
    ]
}
