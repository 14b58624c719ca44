#pragma once
// What Glibc's Swift module lacks: calls behind _GNU_SOURCE, and headers that it does not map.

// pthread_setname_np of the calling thread; name at most 15 bytes. Returns an errno value.
int dld_thread_setname(const char *name);
// eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK). Returns -1 and sets errno.
int dld_eventfd(void);
