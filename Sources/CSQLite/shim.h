#pragma once
#include <sqlite3.h>

// sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0): variadic, so not importable. SQLITE_MISUSE once SQLite has been used.
static inline int dld_sqlite_count_no_memory(void) { return sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); }
