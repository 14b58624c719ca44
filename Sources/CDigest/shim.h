#pragma once
#include <openssl/evp.h>
#include <ext2fs/ext2fs.h>
