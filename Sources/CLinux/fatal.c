// SPDX-License-Identifier: Apache-2.0
#include "CLinux.h"
#include <signal.h>
#include <unistd.h>

static int note_descriptor = -1;

// Async-signal-safe: one write, then the signal as if nobody had caught it.
static void note_and_die(int number) {
    char byte = '!';
    if (note_descriptor >= 0 && write(note_descriptor, &byte, 1) < 0) { /* the next start counts nothing */
    }
    signal(number, SIG_DFL);
    raise(number);
}

void dld_note_fatal_signals(int descriptor) {
    static const int numbers[] = {SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE, SIGABRT};
    note_descriptor = descriptor;
    struct sigaction action = {.sa_handler = note_and_die, .sa_flags = SA_NODEFER};
    sigemptyset(&action.sa_mask);
    for (unsigned long index = 0; index < sizeof numbers / sizeof *numbers; index++)
        sigaction(numbers[index], &action, 0);
}
