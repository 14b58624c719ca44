// SPDX-License-Identifier: Apache-2.0
#include "CLinux.h"

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define DLD_SANITIZED 1
#endif
#endif

#ifdef DLD_SANITIZED
#include <stdlib.h>
void __tsan_acquire(void *address);
void __tsan_release(void *address);
// Any address does that nobody else has.
unsigned long dld_lock_name(void) { return (unsigned long)malloc(8); }
void dld_lock_forget(unsigned long name) { free((void *)name); }
void dld_lock_taken(unsigned long name) { __tsan_acquire((void *)name); }
void dld_lock_given(unsigned long name) { __tsan_release((void *)name); }
#else
unsigned long dld_lock_name(void) { return 0; }
void dld_lock_forget(unsigned long name) { (void)name; }
void dld_lock_taken(unsigned long name) { (void)name; }
void dld_lock_given(unsigned long name) { (void)name; }
#endif
