// SPDX-License-Identifier: Apache-2.0
// The limit: what libcurl does on this machine when nothing stands around it. Threads, a multi handle each, reused easy
// handles, gathered writes, open + write + rename. No ledger, no fsync, no naming rules, no second try.
//
//     bareloop LIST DIRECTORY THREADS TRANSFERS [CA-FILE]       LIST: a line each, "URL NAME"
#include <curl/curl.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { GATHER = 1 << 20 };
struct entry { char *url, *name; };
struct slot { CURL *easy; char *buffer; size_t held; int file; char part[32]; struct entry *entry; };

static struct entry *entries;
static size_t count, transfers;
static atomic_size_t next, failures;
static const char *ca;
static int folder;

static void flush(struct slot *slot) {
    for (size_t done = 0; done < slot->held;) {
        ssize_t n = write(slot->file, slot->buffer + done, slot->held - done);
        if (n <= 0) { perror("write"); exit(1); }
        done += (size_t)n;
    }
    slot->held = 0;
}

static size_t take(char *block, size_t size, size_t members, void *context) {
    struct slot *slot = context;
    size_t length = size * members;
    if (slot->held + length > GATHER) flush(slot);
    memcpy(slot->buffer + slot->held, block, length);
    slot->held += length;
    return length;
}

static int start(CURLM *multi, struct slot *slot) {
    size_t number = atomic_fetch_add(&next, 1);
    if (number >= count) return 0;
    slot->entry = &entries[number];
    snprintf(slot->part, sizeof slot->part, ".%zu.part", number);
    slot->file = openat(folder, slot->part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (slot->file < 0) { perror("open"); exit(1); }
    curl_easy_setopt(slot->easy, CURLOPT_URL, slot->entry->url);
    curl_multi_add_handle(multi, slot->easy);
    return 1;
}

static void *worker(void *unused) {
    CURLM *multi = curl_multi_init();
    struct slot *slots = calloc(transfers, sizeof *slots);
    int active = 0, left = 0, running;
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)transfers);
    for (size_t i = 0; i < transfers; i++) {
        slots[i].easy = curl_easy_init();
        slots[i].buffer = malloc(GATHER);
        curl_easy_setopt(slots[i].easy, CURLOPT_WRITEFUNCTION, take);
        curl_easy_setopt(slots[i].easy, CURLOPT_WRITEDATA, &slots[i]);
        curl_easy_setopt(slots[i].easy, CURLOPT_PRIVATE, &slots[i]);
        curl_easy_setopt(slots[i].easy, CURLOPT_FAILONERROR, 1L);
        curl_easy_setopt(slots[i].easy, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(slots[i].easy, CURLOPT_PIPEWAIT, 1L);
        if (ca) curl_easy_setopt(slots[i].easy, CURLOPT_CAINFO, ca);
        active += start(multi, &slots[i]);
    }
    while (active) {
        CURLMsg *message;
        curl_multi_perform(multi, &running);
        while ((message = curl_multi_info_read(multi, &left))) {
            struct slot *slot;
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&slot);
            flush(slot);
            close(slot->file);
            if (message->data.result != CURLE_OK || renameat(folder, slot->part, folder, slot->entry->name))
                atomic_fetch_add(&failures, 1);
            curl_multi_remove_handle(multi, slot->easy);
            active += start(multi, slot) - 1;
        }
        if (active) curl_multi_poll(multi, NULL, 0, 1000, NULL);
    }
    return unused;
}

int main(int argc, char **argv) {
    if (argc < 5) { fputs("usage: bareloop LIST DIRECTORY THREADS TRANSFERS [CA-FILE]\n", stderr); return 64; }
    FILE *list = fopen(argv[1], "r");
    folder = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    size_t threads = strtoul(argv[3], NULL, 10), room = 0;
    transfers = strtoul(argv[4], NULL, 10);
    ca = argc > 5 ? argv[5] : NULL;
    if (!list || folder < 0) { perror("list or directory"); return 66; }
    for (char url[4096], name[256]; fscanf(list, "%4095s %255s", url, name) == 2; count++) {
        if (count == room) entries = realloc(entries, (room = room ? 2 * room : 1024) * sizeof *entries);
        entries[count] = (struct entry){strdup(url), strdup(name)};
    }
    curl_global_init(CURL_GLOBAL_DEFAULT);
    pthread_t *ids = calloc(threads, sizeof *ids);
    for (size_t i = 0; i < threads; i++) pthread_create(&ids[i], NULL, worker, NULL);
    for (size_t i = 0; i < threads; i++) pthread_join(ids[i], NULL);
    if (failures) fprintf(stderr, "%zu failed\n", (size_t)failures);
    return failures ? 1 : 0;
}
