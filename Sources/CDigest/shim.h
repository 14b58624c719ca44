// SPDX-License-Identifier: Apache-2.0
#pragma once
// EVP of OpenSSL's libcrypto, and the one function that is taken from libext2fs (a static archive: nothing to
// install at run time). Its own header is not included: it would bring the whole of ext2fs and libcom_err along.
#include <openssl/evp.h>
#include <stddef.h>
#include <stdint.h>

// CRC-32C, reflected, table driven. The caller brings the start value (all ones) and inverts the end.
// Declared in ext2fs/ext2fs.h with __u32, which is uint32_t.
extern uint32_t ext2fs_crc32c_le(uint32_t crc, const unsigned char *bytes, size_t length);
