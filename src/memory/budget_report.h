#ifndef FLETCH_MEMORY_BUDGET_REPORT_H
#define FLETCH_MEMORY_BUDGET_REPORT_H

/* What accounts tell of themselves: figures, and why they refuse. Any thread; wait-free. */

#include "memory/budget.h"

/* The bytes in `settled`. */
static inline uint64_t fletch_budget_settled(uint64_t settled)
{
    return settled & ~FLETCH_ACCOUNT_OPEN;
}

/* Names are read by whoever asks while the account may be opened anew: word by word, so that what
 * is read may be torn, and is a string all the same. `out_name`: FLETCH_ACCOUNT_NAME_BYTES. */
void fletch_budget_read_name(const struct fletch_account *account, char *out_name);

/* What is charged and no stock. */
uint64_t fletch_budget_used(const struct fletch_account *account);

/* RESOURCE_EXHAUSTED: the account is full; who holds the most of it. Counts the refusal. */
enum fletch_status fletch_budget_refuse(struct fletch_account *full, uint64_t bytes,
                                        struct fletch_error *error);

/* RESOURCE_EXHAUSTED: there may be room, which is left to those who have waited for it longer. */
enum fletch_status fletch_budget_refuse_younger(struct fletch_account *awaited, uint64_t bytes,
                                                struct fletch_error *error);

/* FAILED_PRECONDITION: the account is closed. */
enum fletch_status fletch_budget_refuse_closed(const struct fletch_account *account,
                                               struct fletch_error *error);

#endif
