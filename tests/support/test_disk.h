#ifndef FLETCH_TESTS_SUPPORT_TEST_DISK_H
#define FLETCH_TESTS_SUPPORT_TEST_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "spill/spill_io.h"

/* A folder for spilled files, and system calls that fail when they are told to. Everything else is
 * passed on to the system. The settings are made before threads use it. */
struct test_disk {
    struct fletch_spill_io io; /* to pass to the library */
    char path[32];             /* the folder, in the current one */
    uint64_t fail_at;          /* fail this call, counted from 1, and all behind it; 0: none */
    int fail_with;             /* error number */
    bool fails_once;           /* and not those behind it */
    bool has_no_tmpfile;
    bool has_no_holes;
    int64_t block_bytes;  /* of the file system; 0: what it is */
    bool is_interrupted;  /* every other transfer */
    size_t transfer_most; /* of one call; 0: all */
    uint64_t room_bytes;  /* of writes, then ENOSPC; 0: endless */
    _Atomic uint64_t calls;
    _Atomic uint64_t transfers;
    _Atomic uint64_t written_bytes;
    _Atomic uint64_t punched_bytes;
    _Atomic int64_t open_files; /* folders too */
};

void test_disk_make(struct test_disk *disk);

/* Nothing is open any more, and nothing lies in the folder, which goes. */
void test_disk_end(struct test_disk *disk);

#endif
