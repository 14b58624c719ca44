// SPDX-License-Identifier: Apache-2.0
#pragma once
// libseccomp, and what its header has only as macros with arguments.
#include <errno.h>
#include <seccomp.h>
#include <unistd.h>

static inline uint32_t dld_seccomp_refuse(void) { return SCMP_ACT_ERRNO(EPERM); }

// A system call by its number, for the attempts that must be refused; what is left out is 0. 0, or the errno.
static inline int dld_system_call(int number, long first, long second, long third, long fourth) {
    return syscall(number, first, second, third, fourth, 0L, 0L) < 0 ? errno : 0;
}
