#define _GNU_SOURCE
#include "CLinux.h"
#include <pthread.h>
#include <sys/eventfd.h>

int dld_thread_setname(const char *name) { return pthread_setname_np(pthread_self(), name); }
int dld_eventfd(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }
