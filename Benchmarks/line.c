// SPDX-License-Identifier: Apache-2.0
// A long line on one machine: joins two network namespaces by TUN devices and gives back each packet DELAY milliseconds
// after it came, in order, none lost. For kernels without netem. Says "up" when it stands; runs until it is killed.
//
//     line NAMESPACE ADDRESS NAMESPACE ADDRESS DELAY
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

// What is under way one direction: a ring of packets, each with the time at which it is due. 256 MiB each: a second of
// a line faster than any that is measured here.
enum { SLOTS = 1 << 17, PACKET = 2048, MTU = 1500 };
struct packet { long long due; int length; char bytes[PACKET - 12]; } __attribute__((packed));
struct way { int from, to; struct packet *ring; unsigned head, tail; };

static void must(int good, const char *what) {
    if (!good) { perror(what); exit(1); }
}

static long long now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static int tun(const char *space, const char *address, const char *peer) {
    char path[256], command[512];
    int home = open("/proc/self/ns/net", O_RDONLY), other;
    snprintf(path, sizeof path, "/run/netns/%s", space);
    must((other = open(path, O_RDONLY)) >= 0 && setns(other, CLONE_NEWNET) == 0, path);
    int device = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    strcpy(request.ifr_name, "line0");
    must(device >= 0 && ioctl(device, TUNSETIFF, &request) == 0, "/dev/net/tun");
    snprintf(command, sizeof command,
             "ip addr add %s peer %s dev line0 && ip link set line0 mtu %d txqueuelen 100000 up", address, peer, MTU);
    must(system(command) == 0, command);
    must(setns(home, CLONE_NEWNET) == 0, "setns");
    close(home);
    close(other);
    return device;
}

static void take(struct way *way, long long delay) {
    while (way->head - way->tail < SLOTS) {
        struct packet *packet = &way->ring[way->head % SLOTS];
        ssize_t length = read(way->from, packet->bytes, sizeof packet->bytes);
        if (length <= 0) return;
        packet->length = (int)length;
        packet->due = now() + delay;
        way->head++;
    }
}

static void give(struct way *way, long long time) {
    while (way->tail != way->head && way->ring[way->tail % SLOTS].due <= time) {
        struct packet *packet = &way->ring[way->tail % SLOTS];
        ssize_t written = write(way->to, packet->bytes, (size_t)packet->length);
        (void)written;  // A device that is going down: TCP does not notice the difference.
        way->tail++;
    }
}

int main(int argc, char **argv) {
    if (argc != 6) { fputs("usage: line NAMESPACE ADDRESS NAMESPACE ADDRESS DELAY\n", stderr); return 64; }
    prctl(PR_SET_PDEATHSIG, 15);
    long long delay = (long long)(atof(argv[5]) * 1e6);
    int a = tun(argv[1], argv[2], argv[4]), b = tun(argv[3], argv[4], argv[2]);
    struct way ways[2] = {{.from = a, .to = b}, {.from = b, .to = a}};
    for (int i = 0; i < 2; i++) must((ways[i].ring = malloc(sizeof(struct packet) * SLOTS)) != NULL, "malloc");
    puts("up");
    fflush(stdout);
    for (;;) {
        struct pollfd files[2] = {{.fd = a, .events = POLLIN}, {.fd = b, .events = POLLIN}};
        long long wait = 999999999, time = now();
        for (int i = 0; i < 2; i++)
            if (ways[i].tail != ways[i].head) {
                long long due = ways[i].ring[ways[i].tail % SLOTS].due - time;
                wait = due < wait ? due : wait;
            }
        struct timespec sleep = {0, wait > 0 ? wait : 0};
        ppoll(files, 2, &sleep, NULL);
        for (int i = 0; i < 2; i++) {
            give(&ways[i], now());
            take(&ways[i], delay);
        }
    }
}
