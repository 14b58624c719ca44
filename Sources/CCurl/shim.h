#pragma once
#include <curl/curl.h>
#include <sys/socket.h>

// curl_easy_setopt() and its kin are variadic, and Swift cannot call variadic C: one typed shim per argument
// type that libcurl documents, never one per option. The compiler checks each against its prototype; libcurl
// checks nothing. The parentheses keep curl's own type-checking macros out of the way.

static inline CURLcode dld_easy_setopt_long(CURL *handle, CURLoption option, long value)
{ return (curl_easy_setopt)(handle, option, value); }
static inline CURLcode dld_easy_setopt_off(CURL *handle, CURLoption option, curl_off_t value)
{ return (curl_easy_setopt)(handle, option, value); }
// libcurl copies the string, except CURLOPT_POSTFIELDS, which must outlive the transfer.
static inline CURLcode dld_easy_setopt_string(CURL *handle, CURLoption option, const char *value)
{ return (curl_easy_setopt)(handle, option, value); }
static inline CURLcode dld_easy_setopt_pointer(CURL *handle, CURLoption option, void *value)
{ return (curl_easy_setopt)(handle, option, value); }
// The list must outlive the transfer: libcurl keeps the pointer.
static inline CURLcode dld_easy_setopt_slist(CURL *handle, CURLoption option, struct curl_slist *value)
{ return (curl_easy_setopt)(handle, option, value); }
static inline CURLcode dld_easy_setopt_write(CURL *handle, CURLoption option, curl_write_callback value)
{ return (curl_easy_setopt)(handle, option, value); }
static inline CURLcode dld_easy_setopt_read(CURL *handle, CURLoption option, curl_read_callback value)
{ return (curl_easy_setopt)(handle, option, value); }
static inline CURLcode dld_easy_setopt_opensocket(CURL *handle, CURLoption option, curl_opensocket_callback value)
{ return (curl_easy_setopt)(handle, option, value); }
static inline CURLcode dld_easy_setopt_prereq(CURL *handle, CURLoption option, curl_prereq_callback value)
{ return (curl_easy_setopt)(handle, option, value); }
static inline CURLcode dld_easy_setopt_debug(CURL *handle, CURLoption option, curl_debug_callback value)
{ return (curl_easy_setopt)(handle, option, value); }

static inline CURLcode dld_easy_getinfo_long(CURL *handle, CURLINFO info, long *value)
{ return (curl_easy_getinfo)(handle, info, value); }
static inline CURLcode dld_easy_getinfo_off(CURL *handle, CURLINFO info, curl_off_t *value)
{ return (curl_easy_getinfo)(handle, info, value); }
// The text belongs to the handle: copy before its next use.
static inline CURLcode dld_easy_getinfo_string(CURL *handle, CURLINFO info, const char **value)
{ return (curl_easy_getinfo)(handle, info, value); }

static inline CURLMcode dld_multi_setopt_long(CURLM *handle, CURLMoption option, long value)
{ return (curl_multi_setopt)(handle, option, value); }

// Members of a C union, which Swift imports as overlapping properties: read here.
static inline CURLcode dld_message_result(const CURLMsg *message) { return message->data.result; }

// curl_sockaddr ends in a union of sockaddr that is too short for IPv6 by its type, but not by its memory.
static inline const void *dld_sockaddr_bytes(const struct curl_sockaddr *address) { return &address->addr; }

// Macros with casts that Swift does not import.
enum {
  dld_writefunc_pause = CURL_WRITEFUNC_PAUSE,
  dld_prereqfunc_ok = CURL_PREREQFUNC_OK,
  dld_prereqfunc_abort = CURL_PREREQFUNC_ABORT,
};
static inline curl_socket_t dld_socket_bad(void) { return CURL_SOCKET_BAD; }
