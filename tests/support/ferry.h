#ifndef FLETCH_TESTS_SUPPORT_FERRY_H
#define FLETCH_TESTS_SUPPORT_FERRY_H

#include "shuffle/inlet.h"
#include "shuffle/media.h"
#include "shuffle/outlet.h"
#include "support/shuffles.h"

/* Several "processes", each a transport with a replica of one shuffle, and what takes frames and
 * control from one to another: by hand, in steps, on the test's thread or on one of its own. On the
 * test's a writer that waits for others is called without time to wait, the ferry goes, and it is
 * called again. */

enum { FERRY_PROCESSES = 3, FERRY_LINKS = 12, FERRY_PRODUCERS = 4, FERRY_ITEMS = 4096 };

struct ferry;

struct ferry_process {
    struct ferry *ferry;
    uint32_t number;
    struct fletch_media media;
    struct fletch_sleeper *sleeper;
    struct test_shuffle test;
    struct fletch_buffer_cache *cache; /* the ferry's thread */
    bool is_open;
};

/* What goes from one process to another: one outlet, an inlet for each producer that says
 * something. */
struct ferry_link {
    uint32_t from;
    uint32_t to;
    struct fletch_outlet *outlet; /* NULL: closed */
    struct fletch_inlet *inlets[FERRY_PRODUCERS];
    uint32_t partitions[16]; /* pull */
    uint32_t partition_count;
    struct fletch_outlet_item items[FERRY_ITEMS]; /* that were taken and have not gone */
    uint32_t item_count;
    struct fletch_outlet_control *asked[FERRY_PRODUCERS]; /* control that waits for its answer */
};

struct ferry {
    struct ferry_process processes[FERRY_PROCESSES];
    uint32_t process_count;
    bool pulls;
    bool is_stopped; /* nothing is pushed or told */
    struct ferry_link links[FERRY_LINKS];
    uint32_t link_count;
    /* Changes what is on its way. */
    void (*forge)(struct fletch_inlet_frame *frame);
    void (*forge_control)(struct fletch_control_record *record);
    uint64_t frames;   /* that have gone */
    uint64_t controls; /* that were answered */
};

/* `words` for each process; its placement is that of the ferry: processes "0", "1" …, partitions
 * in turn, or pulled with the homes given (NULL: pushed). */
void ferry_open(struct ferry *ferry, const struct shuffle_words *words, uint32_t process_count,
                const uint32_t *homes);
enum fletch_status ferry_try(struct ferry *ferry, const struct shuffle_words *words,
                             uint32_t process_count, struct fletch_error *error);

/* Takes over what can go now, and what goes then. */
void ferry_go(struct ferry *ferry);

/* Ends one process as it stands, its transport included; and all of them. */
void ferry_end_process(struct ferry *ferry, uint32_t number);
void ferry_end(struct ferry *ferry);

/* Ends a writer, and sees to it that it is accepted. */
void ferry_end_writer(struct ferry *ferry, struct fletch_shuffle_writer *writer);

#endif
