// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "CLinux.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <sys/wait.h>
#include <unistd.h>

int dld_thread_setname(const char *name) { return pthread_setname_np(pthread_self(), name); }
int dld_clear_own_umask(void) {
    if (unshare(CLONE_FS) == -1) return -1;
    umask(0);
    return 0;
}
int dld_eventfd(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }

int dld_openat(int directory, const char *path, int flags, mode_t mode) {
    return openat(directory, path, flags | O_CLOEXEC, mode);
}
int dld_duplicate(int descriptor, int at_least) { return fcntl(descriptor, F_DUPFD_CLOEXEC, at_least); }
int dld_get_descriptor_flags(int descriptor) { return fcntl(descriptor, F_GETFD); }
int dld_get_status_flags(int descriptor) { return fcntl(descriptor, F_GETFL); }
int dld_set_status_flags(int descriptor, int flags) { return fcntl(descriptor, F_SETFL, flags); }
const int dld_open_path_only = O_PATH | O_NOFOLLOW;

int dld_openat2_beneath(int directory, const char *path, int flags, mode_t mode) {
    struct open_how how = {0};
    how.flags = (uint64_t)(flags | O_CLOEXEC);
    // openat2 refuses a mode without O_CREAT, where openat ignores it.
    how.mode = (flags & O_CREAT) ? mode : 0;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
    // EAGAIN: a rename somewhere raced with the walk and the kernel could not prove that it stayed beneath.
    for (int attempt = 0; attempt < 64; attempt++) {
        int descriptor = (int)syscall(SYS_openat2, directory, path, &how, sizeof how);
        if (descriptor >= 0 || (errno != EAGAIN && errno != EINTR)) return descriptor;
    }
    return -1;
}
int dld_rename_noreplace(int from_directory, const char *from, int to_directory, const char *to) {
    return renameat2(from_directory, from, to_directory, to, RENAME_NOREPLACE);
}
int dld_syncfs(int descriptor) { return syncfs(descriptor); }
int dld_start_writeback(int descriptor, int64_t offset, int64_t length) {
    return sync_file_range(descriptor, offset, length, SYNC_FILE_RANGE_WRITE);
}
int dld_is_in_page_cache(int descriptor, int64_t offset) {
    char byte;
    struct iovec one = {&byte, 1};
    return preadv2(descriptor, &one, 1, offset, RWF_NOWAIT) != -1 || errno != EAGAIN;
}
int dld_pidfd_open(pid_t pid) { return (int)syscall(SYS_pidfd_open, pid, 0); }

int dld_set_parent_death_signal(int number) {
    return prctl(PR_SET_PDEATHSIG, (unsigned long)number, 0, 0, 0);
}

int dld_signalfd(const int *numbers, size_t count) {
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < count; i++) sigaddset(&set, numbers[i]);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}
int dld_signalfd_read(int descriptor) {
    struct signalfd_siginfo record;
    ssize_t count;
    do { count = read(descriptor, &record, sizeof record); } while (count < 0 && errno == EINTR);
    return count == (ssize_t)sizeof record ? (int)record.ssi_signo : -1;
}

ssize_t dld_send_descriptors(
    int socket, const void *bytes, size_t length, const int *descriptors, size_t descriptor_count, int flags) {
    struct iovec piece = {.iov_base = (void *)bytes, .iov_len = length};
    union {
        struct cmsghdr aligned;
        char room[CMSG_SPACE(dld_descriptors_max * sizeof(int))];
    } control;
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    if (descriptor_count > dld_descriptors_max) {
        errno = EINVAL;
        return -1;
    }
    if (descriptor_count > 0) {
        size_t passed = descriptor_count * sizeof(int);
        memset(&control, 0, CMSG_SPACE(passed));
        message.msg_control = control.room;
        message.msg_controllen = CMSG_SPACE(passed);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(passed);
        memcpy(CMSG_DATA(header), descriptors, passed);
    }
    ssize_t count;
    do { count = sendmsg(socket, &message, flags | MSG_NOSIGNAL); } while (count < 0 && errno == EINTR);
    return count;
}

ssize_t dld_receive_descriptors(
    int socket, void *bytes, size_t length, int *descriptors, size_t *descriptor_count, int flags) {
    struct iovec piece = {.iov_base = bytes, .iov_len = length};
    // The kernel closes what a peer sends beyond this room.
    union {
        struct cmsghdr aligned;
        char room[CMSG_SPACE(dld_descriptors_max * sizeof(int))];
    } control;
    struct msghdr message = {
        .msg_iov = &piece,
        .msg_iovlen = 1,
        .msg_control = control.room,
        .msg_controllen = sizeof control.room,
    };
    *descriptor_count = 0;
    ssize_t count;
    do { count = recvmsg(socket, &message, flags | MSG_CMSG_CLOEXEC); } while (count < 0 && errno == EINTR);
    if (count < 0) return count;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        size_t received = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < received; i++) {
            int one;
            memcpy(&one, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
            if (*descriptor_count < dld_descriptors_max) descriptors[(*descriptor_count)++] = one; else close(one);
        }
    }
    return count;
}

int dld_connect_datagram(int socket, const char *name, size_t length, int is_abstract) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t start = is_abstract ? 1 : 0;
    // A path needs its terminating 0 inside sun_path.
    if (length == 0 || start + length + (is_abstract ? 0 : 1) > sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(address.sun_path + start, name, length);
    size_t ending = is_abstract ? 0 : 1;
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + start + length + ending);
    return connect(socket, (struct sockaddr *)&address, size);
}

int dld_spawn_close_from(void *actions, int lowest) {
    return posix_spawn_file_actions_addclosefrom_np((posix_spawn_file_actions_t *)actions, lowest);
}

int dld_set_attribute(int descriptor, const char *name, const void *value, size_t length) {
    return fsetxattr(descriptor, name, value, length, 0);
}

int dld_usable_processors(void) {
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : -1;
}

int dld_has_exited(int word) { return WIFEXITED(word); }
int dld_exit_status(int word) { return WEXITSTATUS(word); }
int dld_term_signal(int word) { return WIFSIGNALED(word) ? WTERMSIG(word) : 0; }
int dld_has_dumped_core(int word) { return WIFSIGNALED(word) && WCOREDUMP(word); }
