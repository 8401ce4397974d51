#include "memory/budget_report.h"

#include <inttypes.h>
#include <string.h>

#include "base/status.h"

void fletch_budget_read_name(const struct fletch_account *account, char *out_name)
{
    uint64_t words[FLETCH_ACCOUNT_NAME_BYTES / 8];
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        words[i] = load_relaxed(&account->name[i]); /* relaxed: a label, see above */
    memcpy(out_name, words, sizeof words);
    out_name[FLETCH_ACCOUNT_NAME_BYTES - 1] = '\0';
}

uint64_t fletch_budget_used(const struct fletch_account *account)
{
    /* relaxed: statistics; the two may not fit, so the difference is not let wrap */
    uint64_t stock = load_relaxed(&account->stock) & ~FLETCH_STOCK_CLOSED;
    uint64_t settled =
        fletch_budget_settled(load_relaxed(&account->settled)); /* relaxed: as above */
    return stock < settled ? settled - stock : 0;
}

struct largest {
    const struct fletch_account *account;
    uint64_t bytes;
};

/* Who holds the most of an account: one below it, or itself, by what is charged to none of those.
 * Nobody, if there is none below. */
static struct largest largest_holder(const struct fletch_account *account)
{
    struct largest largest = {.account = NULL};
    uint64_t below = 0;
    const struct fletch_account *child = fletch_account_first_child(account);
    for (; child != NULL; child = child->sibling) {
        uint64_t bytes =
            fletch_budget_settled(load_relaxed(&child->settled)); /* relaxed: a statistic */
        below += bytes;
        if (bytes > largest.bytes)
            largest = (struct largest){.account = child, .bytes = bytes};
    }
    uint64_t used = fletch_budget_used(account);
    if (largest.account != NULL && used > below && used - below > largest.bytes)
        largest = (struct largest){.account = account, .bytes = used - below};
    return largest;
}

enum fletch_status fletch_budget_refuse(struct fletch_account *full, uint64_t bytes,
                                        struct fletch_error *error)
{
    char name[FLETCH_ACCOUNT_NAME_BYTES], holder[FLETCH_ACCOUNT_NAME_BYTES];
    struct largest largest = largest_holder(full);
    uint64_t limit = load_relaxed(&full->limit_bytes); /* relaxed: fixed while it is open */
    fetch_add_relaxed(&full->refused, 1);              /* relaxed: a statistic */
    if (error == NULL)
        return FLETCH_RESOURCE_EXHAUSTED;
    fletch_budget_read_name(full, name);
    if (largest.account == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "the budget of '%s' is full: limit %" PRIu64 " bytes, used %" PRIu64
                                ", asked for %" PRIu64,
                                name, limit, fletch_budget_used(full), bytes);
    fletch_budget_read_name(largest.account, holder);
    return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                            "the budget of '%s' is full: limit %" PRIu64 " bytes, used %" PRIu64
                            ", asked for %" PRIu64 "; '%s' holds the most of it, %" PRIu64,
                            name, limit, fletch_budget_used(full), bytes, holder, largest.bytes);
}

enum fletch_status fletch_budget_refuse_younger(struct fletch_account *awaited, uint64_t bytes,
                                                struct fletch_error *error)
{
    char name[FLETCH_ACCOUNT_NAME_BYTES];
    fetch_add_relaxed(&awaited->refused, 1); /* relaxed: a statistic */
    if (error == NULL)
        return FLETCH_RESOURCE_EXHAUSTED;
    fletch_budget_read_name(awaited, name);
    return fletch_error_set(
        error, FLETCH_RESOURCE_EXHAUSTED,
        "the budget of '%s' has others who have waited longer: limit %" PRIu64
        " bytes, used %" PRIu64 ", asked for %" PRIu64 ", waiting %" PRIu64,
        name, load_relaxed(&awaited->limit_bytes), /* relaxed: fixed while it is open */
        fletch_budget_used(awaited), bytes,
        fletch_budget_order_count(&awaited->budget->order, awaited));
}

enum fletch_status fletch_budget_refuse_closed(const struct fletch_account *account,
                                               struct fletch_error *error)
{
    char name[FLETCH_ACCOUNT_NAME_BYTES];
    fletch_budget_read_name(account, name);
    return fletch_error_set(error, FLETCH_FAILED_PRECONDITION, "the account '%s' is closed", name);
}

/* ---- statistics ---- */

static struct fletch_budget_statistics look(const struct fletch_account *account)
{
    struct fletch_budget_statistics statistics = {
        .struct_size = sizeof statistics,
        .limit_bytes = load_relaxed(&account->limit_bytes), /* relaxed: a statistic */
        .used_bytes = fletch_budget_used(account),
        .peak_bytes = load_relaxed(&account->peak_bytes), /* relaxed: a statistic */
        .refused = load_relaxed(&account->refused),       /* relaxed: a statistic */
        .waiting = fletch_budget_order_count(&account->budget->order, account),
    };
    fletch_budget_read_name(account, statistics.name);
    if (statistics.limit_bytes == FLETCH_BUDGET_BYTES_MAX)
        statistics.limit_bytes = UINT64_MAX;
    /* relaxed: a statistic */
    statistics.closed = (load_relaxed(&account->settled) & FLETCH_ACCOUNT_OPEN) == 0;
    return statistics;
}

void fletch_account_statistics(const struct fletch_account *account,
                               struct fletch_budget_statistics *out_statistics)
{
    struct fletch_budget_statistics statistics = look(account);
    size_t bytes = out_statistics->struct_size;
    statistics.struct_size = bytes;
    memcpy(out_statistics, &statistics, bytes < sizeof statistics ? bytes : sizeof statistics);
}

void fletch_account_visit(const struct fletch_account *account,
                          bool (*visit)(void *context, const struct fletch_budget_statistics *held),
                          void *context)
{
    const struct fletch_account *child = fletch_account_first_child(account);
    for (; child != NULL; child = child->sibling) {
        struct fletch_budget_statistics statistics = look(child);
        /* relaxed: a statistic */
        if (load_relaxed(&child->settled) != 0 && !visit(context, &statistics))
            return;
    }
}
