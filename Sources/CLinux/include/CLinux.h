// SPDX-License-Identifier: Apache-2.0
#pragma once
// What Glibc's Swift module lacks: calls behind _GNU_SOURCE, headers that it does not map, variadic calls and
// the CMSG macros. Unless said otherwise a call returns -1 and sets errno.

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// pthread_setname_np of the calling thread; name at most 15 bytes. Returns an errno value.
int dld_thread_setname(const char *name);
// Gives the calling thread a umask of its own (unshare(2) with CLONE_FS) and clears it. A kernel or a filter that
// refuses leaves the process's umask as it is.
int dld_clear_own_umask(void);
// eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK).
int dld_eventfd(void);

// open(2), openat(2), fcntl(2): variadic in C, so not importable. O_CLOEXEC is always added.
int dld_openat(int directory, const char *path, int flags, mode_t mode);
int dld_duplicate(int descriptor, int at_least);
int dld_get_descriptor_flags(int descriptor);
int dld_get_status_flags(int descriptor);
int dld_set_status_flags(int descriptor, int flags);
// O_PATH | O_NOFOLLOW.
extern const int dld_open_path_only;

// openat2(2) with RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS (Linux 5.6).
int dld_openat2_beneath(int directory, const char *path, int flags, mode_t mode);
// renameat2(2) with RENAME_NOREPLACE.
int dld_rename_noreplace(int from_directory, const char *from, int to_directory, const char *to);
int dld_syncfs(int descriptor);
// fsetxattr(2), over a value that is there.
int dld_set_attribute(int descriptor, const char *name, const void *value, size_t length);
// sync_file_range(2) with SYNC_FILE_RANGE_WRITE: starts the write-back, waits for nothing.
int dld_start_writeback(int descriptor, int64_t offset, int64_t length);
// Whether the byte at `offset` can be read without the disk: preadv2(2) with RWF_NOWAIT. Where the file system cannot
// tell, it can.
int dld_is_in_page_cache(int descriptor, int64_t offset);
// pidfd_open(2): readable in poll once the process has ended (Linux 5.3).
int dld_pidfd_open(pid_t pid);

// prctl(PR_SET_PDEATHSIG).
int dld_set_parent_death_signal(int number);

// signalfd(2) of the given signals, SFD_CLOEXEC | SFD_NONBLOCK; the next signal number, or -1 with EAGAIN.
int dld_signalfd(const int *numbers, size_t count);
int dld_signalfd_read(int descriptor);

// As many descriptors as one message carries.
enum { dld_descriptors_max = 64 };
// Sends `length` bytes with `descriptor_count` descriptors (SCM_RIGHTS). MSG_NOSIGNAL is always set.
ssize_t dld_send_descriptors(
    int socket, const void *bytes, size_t length, const int *descriptors, size_t descriptor_count, int flags);
// Receives bytes and up to `dld_descriptors_max` descriptors, which are close-on-exec from their first moment;
// `descriptors` has room for so many.
ssize_t dld_receive_descriptors(
    int socket, void *bytes, size_t length, int *descriptors, size_t *descriptor_count, int flags);

// Connects a datagram socket to a path, or with `is_abstract` to a name in the abstract namespace (no leading
// 0).
int dld_connect_datagram(int socket, const char *name, size_t length, int is_abstract);

// posix_spawn_file_actions_addclosefrom_np (glibc 2.34). Takes the actions as void: the type is opaque here.
int dld_spawn_close_from(void *actions, int lowest);

// Processors in the calling thread's affinity mask; -1 with errno.
int dld_usable_processors(void);

// From now on the signals of a program that crashes (SEGV, BUS, ILL, TRAP, FPE, ABRT) write a byte to the descriptor.
void dld_note_fatal_signals(int descriptor);

// Exit status or signal out of waitpid's word.
int dld_has_exited(int word);
int dld_exit_status(int word);
int dld_term_signal(int word);
int dld_has_dumped_core(int word);

// Locks told to the thread sanitizer (its public interface, sanitizer/tsan_interface.h); nothing in other builds.
unsigned long dld_lock_name(void);
void dld_lock_forget(unsigned long name);
void dld_lock_taken(unsigned long name);
void dld_lock_given(unsigned long name);
