#include "support/ferry.h"

#include <stdio.h>
#include <string.h>

#include "arrow/batch_compact.h"
#include "shuffle/shuffle.h"
#include "support/cmocka_tests.h"

static const char *const addresses[] = {"grpc://a:1", "grpc://b:2", "grpc://c:3"};
static const unsigned char id[] = "sixteen bytes id";

/* ---- links ---- */

static void close_inlets(struct ferry_link *link)
{
    for (uint32_t w = 0; w < FERRY_PRODUCERS; w++) {
        fletch_inlet_close(link->inlets[w]);
        link->inlets[w] = NULL;
    }
}

static void close_outlet(struct ferry_link *link)
{
    fletch_outlet_close(link->outlet);
    link->outlet = NULL;
    link->item_count = 0;
    memset(link->asked, 0, sizeof link->asked);
}

static enum fletch_status open_link(struct ferry *ferry, struct ferry_link link,
                                    struct fletch_error *error)
{
    struct ferry_process *process = &ferry->processes[link.from];
    struct fletch_shuffle *shuffle = process->test.shuffle;
    assert_true(ferry->link_count < FERRY_LINKS);
    const struct fletch_outlet_options options = {.partitions = link.partitions,
                                                  .partition_count = link.partition_count,
                                                  .sleeper = process->sleeper};
    enum fletch_status status = fletch_outlet_open(shuffle, &options, &link.outlet, error);
    if (status == FLETCH_OK)
        ferry->links[ferry->link_count++] = link;
    return status;
}

/* ---- the media of a process ---- */

static enum fletch_status attach(void *context, struct fletch_shuffle *shuffle,
                                 struct fletch_error *error)
{
    struct ferry_process *process = context;
    struct ferry *ferry = process->ferry;
    enum fletch_status status = FLETCH_OK;
    process->test.shuffle = shuffle;
    for (uint32_t to = 0; to < ferry->process_count && !ferry->pulls && status == FLETCH_OK; to++) {
        struct ferry_link link = {.from = process->number, .to = to};
        for (uint32_t p = 0; p < fletch_shuffle_partition_count(shuffle); p++)
            if (p % ferry->process_count == to)
                link.partitions[link.partition_count++] = p;
        if (to != process->number && link.partition_count > 0)
            status = open_link(ferry, link, error);
    }
    process->test.shuffle = NULL;
    for (uint32_t i = 0; i < ferry->link_count && status != FLETCH_OK; i++)
        if (ferry->links[i].from == process->number)
            close_outlet(&ferry->links[i]);
    return status;
}

static void begin(void *context, struct fletch_shuffle *shuffle)
{
    (void)context;
    (void)shuffle;
}

static enum fletch_status claim(void *context, struct fletch_shuffle *shuffle,
                                const uint32_t *partitions, uint32_t count,
                                struct fletch_error *error)
{
    struct ferry_process *process = context;
    struct ferry *ferry = process->ferry;
    enum fletch_status status = FLETCH_OK;
    (void)shuffle;
    for (uint32_t from = 0; from < ferry->process_count && status == FLETCH_OK; from++) {
        struct ferry_link link = {.from = from, .to = process->number, .partition_count = count};
        memcpy(link.partitions, partitions, count * sizeof partitions[0]);
        if (from != process->number && ferry->processes[from].is_open)
            status = open_link(ferry, link, error);
    }
    return status;
}

static void detach(void *context, struct fletch_shuffle *shuffle)
{
    struct ferry_process *process = context;
    struct ferry *ferry = process->ferry;
    (void)shuffle;
    for (uint32_t i = 0; i < ferry->link_count; i++) {
        if (ferry->links[i].from == process->number)
            close_outlet(&ferry->links[i]);
        if (ferry->links[i].to == process->number)
            close_inlets(&ferry->links[i]);
    }
}

/* ---- opening and ending ---- */

static enum fletch_status open_process(struct ferry *ferry, struct shuffle_words words,
                                       uint32_t number, const uint32_t *homes,
                                       struct fletch_error *error)
{
    struct ferry_process *process = &ferry->processes[number];
    const struct fletch_placement placement = {
        .struct_size = sizeof placement,
        .addresses = addresses,
        .address_count = ferry->process_count,
        .self = number,
        .producer_homes = homes,
        .mode = homes == NULL ? FLETCH_PLACEMENT_PUSH : FLETCH_PLACEMENT_PULL,
    };
    *process = (struct ferry_process){.ferry = ferry, .number = number};
    process->media = (struct fletch_media){
        .attach = attach, .begin = begin, .claim = claim, .detach = detach, .context = process};
    process->sleeper = fletch_sleeper_create(NULL);
    words.id = id;
    words.placement = &placement;
    words.media = &process->media;
    enum fletch_status status = test_shuffle_try(&words, &process->test, error);
    if (status == FLETCH_OK) {
        status = fletch_buffer_cache_open(fletch_transport_pool(process->test.transport),
                                          &process->cache, error);
        if (status != FLETCH_OK)
            test_shuffle_end(&process->test);
    }
    process->is_open = status == FLETCH_OK;
    if (status != FLETCH_OK)
        fletch_sleeper_release(process->sleeper);
    return status;
}

enum fletch_status ferry_try(struct ferry *ferry, const struct shuffle_words *words,
                             uint32_t process_count, struct fletch_error *error)
{
    enum fletch_status status = FLETCH_OK;
    memset(ferry, 0, sizeof *ferry);
    ferry->process_count = process_count;
    for (uint32_t i = 0; i < process_count && status == FLETCH_OK; i++)
        status = open_process(ferry, *words, i, NULL, error);
    if (status != FLETCH_OK)
        ferry_end(ferry);
    return status;
}

void ferry_open(struct ferry *ferry, const struct shuffle_words *words, uint32_t process_count,
                const uint32_t *homes)
{
    struct fletch_error error;
    memset(ferry, 0, sizeof *ferry);
    ferry->process_count = process_count;
    ferry->pulls = homes != NULL;
    for (uint32_t i = 0; i < process_count; i++)
        if (open_process(ferry, *words, i, homes, &error) != FLETCH_OK)
            fail_msg("%s", error.message);
}

void ferry_end_process(struct ferry *ferry, uint32_t number)
{
    struct ferry_process *process = &ferry->processes[number];
    if (!process->is_open)
        return;
    process->is_open = false;
    fletch_buffer_cache_close(process->cache);
    test_shuffle_end(&process->test);
    fletch_sleeper_release(process->sleeper);
}

void ferry_end(struct ferry *ferry)
{
    for (uint32_t i = 0; i < ferry->process_count; i++)
        ferry_end_process(ferry, i);
}

/* ---- going ---- */

struct crossing {
    struct ferry *ferry;
    struct ferry_link *link;
    struct ferry_process *from;
    struct ferry_process *to;
};

static void forget_items(struct ferry_link *link, uint32_t partition)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < link->item_count; i++) {
        const struct fletch_outlet_item *item = &link->items[i];
        bool goes =
            partition == FLETCH_ALL_PARTITIONS ||
            (item->kind == FLETCH_OUTLET_FRAME && item->frame->channel->partition == partition);
        if (!goes)
            link->items[kept++] = *item;
    }
    link->item_count = kept;
    if (partition == FLETCH_ALL_PARTITIONS)
        memset(link->asked, 0, sizeof link->asked);
}

/* What the other side says for good. */
static void refuse(struct crossing *crossing, uint32_t partition, const struct fletch_error *error)
{
    bool is_partitions = error->status == FLETCH_DATA_LOSS && partition != FLETCH_ALL_PARTITIONS;
    if (!is_partitions)
        partition = FLETCH_ALL_PARTITIONS;
    forget_items(crossing->link, partition);
    fletch_outlet_fail(crossing->link->outlet, partition, error->status, error->message);
}

enum passage { STAYS, GOES, ENDS };

/* Opens the inlet of a producer on its first word; or the other side refuses, or has no memory. */
static enum passage find_inlet(struct crossing *crossing, uint32_t producer)
{
    struct fletch_inlet **inlet = &crossing->link->inlets[producer];
    struct fletch_inlet_options options = {
        .producer = producer,
        .attempt = FLETCH_FIRST_ATTEMPT,
        .sleeper = crossing->ferry->processes[crossing->link->to].sleeper,
    };
    struct fletch_error error;
    if (*inlet != NULL)
        return GOES;
    if (crossing->ferry->pulls) {
        options.partitions = crossing->link->partitions;
        options.partition_count = crossing->link->partition_count;
    }
    switch (fletch_inlet_open(crossing->to->test.shuffle, &options, inlet, &error)) {
    case FLETCH_OK:
        return GOES;
    case FLETCH_RESOURCE_EXHAUSTED:
        return STAYS;
    default:
        refuse(crossing, FLETCH_ALL_PARTITIONS, &error);
        return ENDS;
    }
}

/* A batch of the other process, as if it had been read from a wire. NULL: no room there. */
static struct fletch_batch *copy_batch(struct crossing *crossing, const struct fletch_frame *frame,
                                       struct fletch_inlet *inlet)
{
    struct fletch_batch *batch, *copy = NULL;
    if (fletch_outlet_fetch(crossing->link->outlet, frame, crossing->from->cache, &batch, NULL) !=
        FLETCH_OK)
        return NULL;
    const struct fletch_batch_place place = {.cache = crossing->to->cache,
                                             .account = fletch_inlet_account(inlet)};
    if (fletch_batch_compact(&place, batch, &copy) != FLETCH_OK)
        copy = NULL;
    fletch_batch_release(crossing->from->cache, batch);
    return copy;
}

static enum passage push(struct crossing *crossing, struct fletch_frame *frame,
                         struct fletch_inlet *inlet, struct fletch_inlet_credit *credit)
{
    uint32_t partition = frame->channel->partition;
    struct fletch_inlet_frame sent = {
        .partition = partition,
        .sequence = frame->sequence,
        .barrier = frame->barrier,
        .rows = frame->rows,
        .bytes = frame->bytes,
        .key_sum = frame->key_sum,
        .row_sum = frame->row_sum,
        .batch = copy_batch(crossing, frame, inlet),
        .credit = credit,
    };
    struct fletch_error error;
    if (sent.batch == NULL) {
        fletch_inlet_give_back(inlet, partition, credit);
        return STAYS;
    }
    if (crossing->ferry->forge != NULL)
        crossing->ferry->forge(&sent);
    if (fletch_inlet_push(inlet, &sent) == FLETCH_DONE) {
        crossing->ferry->frames++;
        assert_int_equal(fletch_inlet_mark(inlet, partition), frame->sequence);
        fletch_outlet_accepted(crossing->link->outlet, frame, crossing->from->cache);
        return GOES;
    }
    assert_int_not_equal(fletch_inlet_check(inlet, partition, &error), FLETCH_OK);
    refuse(crossing, partition, &error);
    return ENDS;
}

static enum passage send_frame(struct crossing *crossing, struct fletch_frame *frame)
{
    uint32_t producer = frame->channel->producer, partition = frame->channel->partition;
    struct fletch_inlet_credit credit;
    struct fletch_error error;
    if (frame != frame->channel->unaccepted.first)
        return STAYS;
    enum passage passage = find_inlet(crossing, producer);
    if (passage != GOES)
        return passage;
    struct fletch_inlet *inlet = crossing->link->inlets[producer];
    const struct fletch_inlet_ask ask = {
        .bytes = frame->bytes, .barrier = frame->barrier, .asks = true};
    switch (fletch_inlet_reserve(inlet, partition, ask, &credit)) {
    case FLETCH_DONE:
        return push(crossing, frame, inlet, &credit);
    case FLETCH_CLOSED:
        assert_int_not_equal(fletch_inlet_check(inlet, partition, &error), FLETCH_OK);
        refuse(crossing, partition, &error);
        return ENDS;
    default:
        return STAYS;
    }
}

static enum passage send_control(struct crossing *crossing, struct fletch_outlet_control *control)
{
    struct fletch_control_record record = control->record;
    struct fletch_channel_record channels[16];
    struct fletch_error error;
    if (crossing->link->asked[control->producer] != NULL)
        return STAYS;
    enum passage passage = find_inlet(crossing, control->producer);
    if (passage != GOES)
        return passage;
    for (uint32_t i = 0; i < record.channel_count; i++)
        channels[i] = record.channels[i];
    record.channels = channels;
    if (crossing->ferry->forge_control != NULL)
        crossing->ferry->forge_control(&record);
    if (fletch_inlet_control(crossing->link->inlets[control->producer], &record, &error) !=
        FLETCH_OK)
        fail_msg("%s", error.message);
    crossing->link->asked[control->producer] = control;
    return GOES;
}

/* Whether the item has to wait for one before it: control for whatever its producer said before,
 * a frame for those of its channel. */
static bool must_wait(const struct ferry_link *link, uint32_t at)
{
    const struct fletch_outlet_item *item = &link->items[at];
    for (uint32_t i = 0; i < at && item->kind == FLETCH_OUTLET_CONTROL; i++) {
        const struct fletch_outlet_item *before = &link->items[i];
        uint32_t producer = before->kind == FLETCH_OUTLET_FRAME ? before->frame->channel->producer
                                                                : before->control->producer;
        if (producer == item->control->producer)
            return true;
    }
    return false;
}

static bool send_items(struct crossing *crossing)
{
    struct ferry_link *link = crossing->link;
    bool has_moved = false;
    for (uint32_t at = 0; at < link->item_count;) {
        struct fletch_outlet_item item = link->items[at];
        enum passage passage = STAYS;
        if (!must_wait(link, at))
            passage = item.kind == FLETCH_OUTLET_FRAME ? send_frame(crossing, item.frame)
                                                       : send_control(crossing, item.control);
        if (passage == ENDS)
            return true;
        if (passage == STAYS) {
            at++;
            continue;
        }
        has_moved = true;
        memmove(&link->items[at], &link->items[at + 1],
                (--link->item_count - at) * sizeof link->items[0]);
    }
    return has_moved;
}

static bool take_answers(struct crossing *crossing)
{
    struct ferry_link *link = crossing->link;
    bool has_moved = false;
    for (uint32_t w = 0; w < FERRY_PRODUCERS; w++) {
        enum fletch_status status;
        struct fletch_error error;
        if (link->asked[w] == NULL || !fletch_inlet_control_poll(link->inlets[w], &status, &error))
            continue;
        struct fletch_outlet_control *control = link->asked[w];
        link->asked[w] = NULL;
        crossing->ferry->controls++;
        fletch_outlet_control_accepted(link->outlet, control, status,
                                       status == FLETCH_OK ? NULL : error.message);
        has_moved = true;
    }
    return has_moved;
}

static bool take_items(struct ferry_link *link)
{
    bool has_moved = false;
    for (;;) {
        struct fletch_outlet_item item;
        fletch_outlet_take(link->outlet, &item);
        if (item.kind == FLETCH_OUTLET_NOTHING)
            return has_moved;
        assert_true(link->item_count < FERRY_ITEMS);
        link->items[link->item_count++] = item;
        has_moved = true;
    }
}

/* Cancels go both ways. False: the link is over. */
static bool is_going(struct crossing *crossing)
{
    struct ferry_link *link = crossing->link;
    struct fletch_error error;
    if (link->outlet == NULL || !crossing->ferry->processes[link->to].is_open)
        return false;
    if (fletch_shuffle_check(crossing->to->test.shuffle, &error) != FLETCH_OK)
        refuse(crossing, FLETCH_ALL_PARTITIONS, &error);
    enum fletch_status status = fletch_outlet_check(link->outlet, &error);
    if (status == FLETCH_CANCELLED)
        fletch_shuffle_cancel(crossing->to->test.shuffle, error.message);
    return status == FLETCH_OK || status == FLETCH_UNAVAILABLE;
}

static bool go_over(struct ferry *ferry, struct ferry_link *link)
{
    struct crossing crossing = {
        .ferry = ferry,
        .link = link,
        .from = &ferry->processes[link->from],
        .to = &ferry->processes[link->to],
    };
    if (!is_going(&crossing))
        return false;
    bool has_taken = take_items(link);
    if (ferry->is_stopped)
        return has_taken;
    bool has_sent = send_items(&crossing);
    return take_answers(&crossing) || has_sent || has_taken;
}

void ferry_go(struct ferry *ferry)
{
    bool has_moved = true;
    while (has_moved) {
        has_moved = false;
        for (uint32_t i = 0; i < ferry->link_count; i++)
            has_moved |= go_over(ferry, &ferry->links[i]);
    }
}

void ferry_end_writer(struct ferry *ferry, struct fletch_shuffle_writer *writer)
{
    struct fletch_error error;
    enum fletch_status status = fletch_shuffle_writer_end(writer, 0, &error);
    if (status == FLETCH_DEADLINE_EXCEEDED) {
        ferry_go(ferry);
        status = fletch_shuffle_writer_end(writer, 0, &error);
    }
    if (status != FLETCH_OK)
        fail_msg("%s", error.message);
}
