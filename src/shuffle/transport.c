#include "shuffle/transport.h"

#include <string.h>

#include "base/allocator.h"
#include "base/checked.h"
#include "base/clock.h"
#include "base/options.h"
#include "base/status.h"
#include "shuffle/media.h"
#include "shuffle/registry.h"
#include "sync/epoch.h"

/* The least is what one producer and one partition need, and something to deliver. */
enum { DELIVERED_SHARE = 4, BUDGET_BYTES_LEAST = 16384 };

/* ---- time ---- */

static uint64_t monotonic_now_ns(void *unused)
{
    (void)unused;
    return fletch_clock_now_ns();
}

uint64_t fletch_transport_now_ns(const struct fletch_transport *transport)
{
    return transport->time.now_ns(transport->time.context);
}

uint64_t fletch_transport_deadline_ns(const struct fletch_transport *transport, uint64_t timeout_ns)
{
    if (timeout_ns == UINT64_MAX)
        return FLETCH_NO_DEADLINE;
    return fletch_saturating_add_u64(fletch_transport_now_ns(transport), timeout_ns);
}

uint64_t fletch_transport_remaining_ns(const struct fletch_transport *transport,
                                       uint64_t deadline_ns)
{
    if (deadline_ns == FLETCH_NO_DEADLINE)
        return UINT64_MAX;
    uint64_t now_ns = fletch_transport_now_ns(transport);
    return now_ns < deadline_ns ? deadline_ns - now_ns : 0;
}

/* ---- seats ---- */

struct fletch_epoch_seat *fletch_transport_borrow_seat(struct fletch_transport *transport,
                                                       struct fletch_error *error)
{
    struct fletch_stack_node *node = fletch_node_stack_take(&transport->seats);
    if (node != NULL) {
        (void)fletch_node_stack_give_back(&transport->seats, node->next);
        return (struct fletch_epoch_seat *)(void *)node;
    }
    struct fletch_epoch_seat *seat = fletch_block_allocate(&transport->allocator, sizeof *seat);
    if (seat == NULL) {
        (void)fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                               "RESOURCE_EXHAUSTED: no memory: %zu bytes", sizeof *seat);
        return NULL;
    }
    if (fletch_epoch_reader_open(transport->epochs, &seat->reader, error) != FLETCH_OK) {
        fletch_block_release(seat);
        return NULL;
    }
    return seat;
}

void fletch_transport_return_seat(struct fletch_transport *transport,
                                  struct fletch_epoch_seat *seat)
{
    if (seat == NULL)
        return;
    /* Nothing may wait in a seat: a shuffle that borrows it for long would keep it, perhaps its own
     * last reference. */
    fletch_epoch_surrender(seat->reader);
    (void)fletch_node_stack_push(&transport->seats, &seat->node, &seat->node);
}

static uint64_t reclaimed_objects(const struct fletch_transport *transport)
{
    struct fletch_epoch_statistics statistics = {.struct_size = sizeof statistics};
    if (fletch_epoch_domain_statistics(transport->epochs, &statistics, NULL) != FLETCH_OK)
        return 0;
    return statistics.reclaimed;
}

/* Frees what was retired, and what is retired by that: an entry of the registry lets go of its
 * shuffle, which lets go of more. Seats keep nothing, so one of them finds all of it. Without
 * memory for one, it waits for the next call. */
static void collect_retired(struct fletch_transport *transport)
{
    struct fletch_epoch_seat *seat = fletch_transport_borrow_seat(transport, NULL);
    uint64_t before;
    uint64_t now = reclaimed_objects(transport);
    if (seat == NULL)
        return;
    do {
        before = now;
        fletch_epoch_collect(seat->reader);
        now = reclaimed_objects(transport);
    } while (now != before);
    fletch_transport_return_seat(transport, seat);
}

static void end_seats(struct fletch_transport *transport)
{
    struct fletch_stack_node *node = fletch_node_stack_take(&transport->seats);
    while (node != NULL) {
        struct fletch_epoch_seat *seat = (struct fletch_epoch_seat *)(void *)node;
        node = node->next;
        fletch_epoch_reader_close(seat->reader);
        fletch_block_release(seat);
    }
}

/* ---- making ---- */

/* Whatever of it was made. */
static void end(struct fletch_transport *transport)
{
    end_seats(transport);
    fletch_partition_store_destroy(transport->store);
    fletch_epoch_domain_destroy(transport->epochs);
    fletch_eventcount_destroy(transport->registered);
    fletch_block_release(transport);
}

static enum fletch_status make_accounts(struct fletch_transport *transport,
                                        const struct fletch_transport_options *options,
                                        struct fletch_error *error)
{
    const struct fletch_account_options top = {
        .struct_size = sizeof top, .name = "transport", .limit_bytes = options->budget_bytes};
    const struct fletch_account_options shuffles = {.struct_size = sizeof shuffles,
                                                    .name = "shuffles",
                                                    .limit_bytes = options->budget_bytes -
                                                                   options->delivered_bytes};
    const struct fletch_account_options delivered = {.struct_size = sizeof delivered,
                                                     .name = "delivered",
                                                     .limit_bytes = options->delivered_bytes};
    enum fletch_status status =
        fletch_budget_create(&top, &transport->allocator, &transport->budget, error);
    if (status != FLETCH_OK)
        return status;
    transport->account = fletch_budget_account(transport->budget);
    status = fletch_account_open(transport->account, &shuffles, &transport->shuffles, error);
    if (status == FLETCH_OK)
        status = fletch_account_open(transport->account, &delivered, &transport->delivered, error);
    if (status != FLETCH_OK)
        fletch_account_close(transport->shuffles);
    if (status != FLETCH_OK && fletch_budget_destroy(transport->budget, NULL) == FLETCH_OK)
        transport->budget = NULL;
    return status;
}

static enum fletch_status make_parts(struct fletch_transport *transport,
                                     const struct fletch_allocator *allocator,
                                     struct fletch_error *error)
{
    const struct fletch_partition_store_options store = {.struct_size = sizeof store,
                                                         .drop = fletch_registry_drop};
    enum fletch_status status =
        fletch_epoch_domain_create(NULL, &transport->allocator, &transport->epochs, error);
    if (status == FLETCH_OK)
        status = fletch_partition_store_create(transport->epochs, &store, &transport->allocator,
                                               &transport->store, error);
    if (status == FLETCH_OK)
        status = fletch_eventcount_create(&transport->allocator, &transport->registered, error);
    struct fletch_epoch_seat *seat = NULL; /* the first one, so that destroying needs no memory */
    if (status == FLETCH_OK && (seat = fletch_transport_borrow_seat(transport, error)) == NULL)
        status = FLETCH_RESOURCE_EXHAUSTED;
    fletch_transport_return_seat(transport, seat);
    const struct fletch_buffer_pool_options pool = {.struct_size = sizeof pool};
    if (status == FLETCH_OK)
        status = fletch_buffer_pool_create(&pool, allocator, &transport->pool, error);
    return status;
}

static enum fletch_status check_options(struct fletch_transport_options *options,
                                        struct fletch_error *error)
{
    if (options->budget_bytes == 0)
        options->budget_bytes = FLETCH_BUDGET_BYTES_DEFAULT;
    if (options->budget_bytes < BUDGET_BYTES_LEAST ||
        options->budget_bytes > FLETCH_BUDGET_BYTES_MAX)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "INVALID_ARGUMENT: budget_bytes is %llu, expected %d to %llu",
                                (unsigned long long)options->budget_bytes, BUDGET_BYTES_LEAST,
                                (unsigned long long)FLETCH_BUDGET_BYTES_MAX);
    if (options->delivered_bytes >= options->budget_bytes)
        return fletch_error_set(
            error, FLETCH_INVALID_ARGUMENT,
            "INVALID_ARGUMENT: delivered_bytes is %llu, expected less than the budget of %llu",
            (unsigned long long)options->delivered_bytes,
            (unsigned long long)options->budget_bytes);
    if (options->delivered_bytes == 0)
        options->delivered_bytes = options->budget_bytes / DELIVERED_SHARE;
    return FLETCH_OK;
}

enum fletch_status fletch_transport_create(const struct fletch_transport_options *options,
                                           const struct fletch_allocator *allocator,
                                           struct fletch_transport **out_transport,
                                           struct fletch_error *error)
{
    static const struct fletch_transport_options defaults = {.struct_size = sizeof defaults};
    struct fletch_transport_options known;
    enum fletch_status status = fletch_options_copy(
        &known, sizeof known, options == NULL ? &defaults : options, sizeof known, error);
    if (status == FLETCH_OK)
        status = check_options(&known, error);
    if (status != FLETCH_OK)
        return status;
    struct fletch_allocator own = fletch_allocator_or_default(allocator);
    struct fletch_transport *transport = fletch_block_allocate(&own, sizeof *transport);
    if (transport == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "RESOURCE_EXHAUSTED: no memory for a transport: %zu bytes",
                                sizeof *transport);
    *transport = (struct fletch_transport){
        .allocator = own, .process = fletch_process_number(), .name_hash_mask = UINT64_MAX};
    transport->time.now_ns = monotonic_now_ns;
    fletch_node_stack_open(&transport->seats);
    status = make_parts(transport, allocator, error);
    if (status == FLETCH_OK)
        status = make_accounts(transport, &known, error);
    if (status != FLETCH_OK && fletch_buffer_pool_destroy(transport->pool, NULL) == FLETCH_OK)
        transport->pool = NULL;
    if (status != FLETCH_OK) {
        end(transport);
        return status;
    }
    *out_transport = transport;
    return FLETCH_OK;
}

enum fletch_status fletch_transport_check(const struct fletch_transport *transport,
                                          struct fletch_error *error)
{
    return fletch_process_check(transport->process, "FAILED_PRECONDITION: this transport", error);
}

/* ---- ending ---- */

struct holder {
    struct fletch_budget_statistics held;
    bool was_found;
};

static bool note_holder(void *context, const struct fletch_budget_statistics *held)
{
    struct holder *holder = context;
    if (held->used_bytes == 0)
        return true;
    *holder = (struct holder){.held = *held, .was_found = true};
    return false;
}

static bool note_any(void *context, const struct fletch_budget_statistics *held)
{
    struct holder *holder = context;
    *holder = (struct holder){.held = *held, .was_found = true};
    return false;
}

static enum fletch_status check_unused(struct fletch_transport *transport,
                                       struct fletch_error *error)
{
    struct holder holder = {.was_found = false};
    uint64_t shuffles = load_acquire(&transport->shuffle_count); /* E1 acquire */
    if (shuffles > 0) {
        fletch_account_visit(transport->shuffles, note_any, &holder);
        return fletch_error_set(
            error, FLETCH_FAILED_PRECONDITION,
            "FAILED_PRECONDITION: %llu shuffles are registered or in use, '%s' among them",
            (unsigned long long)shuffles, holder.held.name);
    }
    fletch_account_visit(transport->account, note_holder, &holder);
    if (holder.was_found)
        return fletch_error_set(
            error, FLETCH_FAILED_PRECONDITION,
            "FAILED_PRECONDITION: batches of the transport are in use: %llu bytes are charged to "
            "'%s'",
            (unsigned long long)holder.held.used_bytes, holder.held.name);
    struct fletch_budget_statistics own = {.struct_size = sizeof own};
    fletch_account_statistics(transport->account, &own);
    if (own.used_bytes > 0)
        return fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                                "FAILED_PRECONDITION: batches of the transport are in use: %llu "
                                "bytes are charged to it",
                                (unsigned long long)own.used_bytes);
    return FLETCH_OK;
}

enum fletch_status fletch_transport_destroy(struct fletch_transport *transport,
                                            struct fletch_error *error)
{
    if (transport == NULL)
        return FLETCH_OK;
    enum fletch_status status = fletch_transport_check(transport, error);
    if (status != FLETCH_OK)
        return status;
    collect_retired(transport);
    status = check_unused(transport, error);
    if (status == FLETCH_OK)
        status = fletch_buffer_pool_destroy(transport->pool, error);
    if (status != FLETCH_OK)
        return status;
    fletch_account_close(transport->delivered);
    fletch_account_close(transport->shuffles);
    status = fletch_budget_destroy(transport->budget, error);
    end(transport);
    return status;
}

struct fletch_buffer_pool *fletch_transport_pool(struct fletch_transport *transport)
{
    return transport->pool;
}

struct fletch_account *fletch_transport_account(struct fletch_transport *transport)
{
    return transport->account;
}

bool fletch_transport_install_media(struct fletch_transport *transport,
                                    const struct fletch_media *media)
{
    if (media != NULL && transport->media != NULL)
        return false;
    transport->media = media;
    return true;
}
