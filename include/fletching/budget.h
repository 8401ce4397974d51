#ifndef FLETCHING_BUDGET_H
#define FLETCHING_BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fletching/allocator.h>
#include <fletching/export.h>
#include <fletching/status.h>

FLETCH_BEGIN_DECLS

/** Counts the bytes that are kept alive, by a tree of accounts: what an account is charged, those
 *  above it are charged too, and none is ever charged more than its limit.
 *
 *  Threads: reserve, release, transfer and statistics may be called by any thread for any account
 *  that is open; all are lock-free, and block only where a timeout is given. An account is closed
 *  once, when nobody reserves at it any more, and before the account above it. In a child that was
 *  forked since, calls that return a status answer FAILED_PRECONDITION. */
struct fletch_budget;
struct fletch_account;

/** Bytes of an account's name, the terminating NUL included; a longer one is cut. */
#define FLETCH_ACCOUNT_NAME_BYTES 64

/** The largest limit, and levels of accounts, the budget's own one included. */
#define FLETCH_BUDGET_BYTES_MAX (UINT64_C(1) << 60)
#define FLETCH_ACCOUNT_LEVELS_MAX 8

struct fletch_account_options {
    size_t struct_size;
    /** NULL: "unnamed". Copied. */
    const char *name;
    /** 0: no limit but those of the accounts above it. */
    uint64_t limit_bytes;
    /** 0: each change is passed on to the account above at once. Otherwise the account takes from
     *  it in steps of this many bytes, keeps up to two of them when they are released, and gives
     *  them back when it is closed or somebody waits for them: fewer changes of shared counters. */
    uint64_t step_bytes;
};

/** Makes a budget with its topmost account, which has these options (no step) and is open until the
 *  budget is destroyed. Owned by the caller. INVALID_ARGUMENT: an option, names value and limit;
 *  RESOURCE_EXHAUSTED: no memory. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_budget_create(const struct fletch_account_options *options,
                     const struct fletch_allocator *allocator, struct fletch_budget **out_budget,
                     struct fletch_error *error);

/** Ends a budget that nobody uses any more. FAILED_PRECONDITION: bytes are still charged or an
 *  account is open, names it and them; the budget stays. NULL allowed. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_budget_destroy(struct fletch_budget *budget, struct fletch_error *error);

/** The topmost account; must not be closed. */
FLETCH_EXPORT struct fletch_account *fletch_budget_account(struct fletch_budget *budget);

/** An account below `parent`, which is open. INVALID_ARGUMENT: an option, too many levels;
 *  RESOURCE_EXHAUSTED: no memory. Lock-free. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_account_open(struct fletch_account *parent, const struct fletch_account_options *options,
                    struct fletch_account **out_account, struct fletch_error *error);

/** Nothing more will be reserved. The account gives its unused steps back; with bytes still charged
 *  it stays, seen in statistics, until the last of them is released. NULL allowed. */
FLETCH_EXPORT void fletch_account_close(struct fletch_account *account);

/** Charges `bytes` to the account and all above it, or to none. Waits for room up to `timeout_ns`
 *  (0: does not), unless there can never be enough.
 *
 *  Those who wait for one account are served oldest first, whatever each needs: a small request
 *  behind a large one waits until that has what it needs or gives up, and then it is its turn.
 *  Accounts of which nobody older waits for any are not held up. A call that does not wait may
 *  pass for the first 10 ms of somebody's waiting, and is refused after that.
 *
 *  RESOURCE_EXHAUSTED: names the account that is full, its limit, what is used, how much was asked
 *  for, and who holds the most of it: one of the accounts below it, or itself; or the account for
 *  which others have waited longer. FAILED_PRECONDITION: the account is closed. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_account_reserve(struct fletch_account *account, uint64_t bytes, uint64_t timeout_ns,
                       struct fletch_error *error);

/** Gives back what was reserved; wakes those that wait for room. Also for closed accounts. */
FLETCH_EXPORT void fletch_account_release(struct fletch_account *account, uint64_t bytes);

/** Moves a charge of `bytes` from one account to another of the same budget, waiting for room there
 *  up to `timeout_ns`. Accounts above both are not changed, not for a moment either. On failure
 *  the charge stays where it was. Errors as fletch_account_reserve, of the account `to`. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_account_transfer(struct fletch_account *from, struct fletch_account *to, uint64_t bytes,
                        uint64_t timeout_ns, struct fletch_error *error);

/** A descriptor for an epoll loop, for those who wait for room in it: see
 *  fletch_eventcount_open_fd. Any thread; does not block. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_budget_open_fd(struct fletch_budget *budget, int *out_fd, struct fletch_error *error);

/** After a refusal. True: sleep on the descriptor now, which was opened before, then disarm with
 *  `*out_key` and try again. False: there is room for `bytes` already, or there can never be, or
 *  the account is closed; nothing was armed, and the next try tells. `from`: NULL before
 *  fletch_account_reserve; before fletch_account_transfer the account that the charge comes from.
 *  Any thread; does not block. */
FLETCH_EXPORT FLETCH_MUST_CHECK bool fletch_account_arm(struct fletch_account *account,
                                                        struct fletch_account *from, uint64_t bytes,
                                                        uint32_t *out_key);
FLETCH_EXPORT void fletch_account_disarm(struct fletch_account *account, uint32_t key);

/** What an account says of itself. */
struct fletch_budget_statistics {
    size_t struct_size;
    char name[FLETCH_ACCOUNT_NAME_BYTES];
    uint64_t limit_bytes; /* UINT64_MAX: none of its own */
    uint64_t used_bytes;  /* charged now */
    uint64_t
        peak_bytes;   /* the most that it took from the account above it, never less; it may count
                             what others were refused for a moment */
    uint64_t refused; /* reservations and transfers that found it full */
    bool closed;      /* and waits for its last bytes */
    uint64_t waiting; /* calls that wait for room in this account, here the one they are held at */
};

/** Writes the first `out_statistics->struct_size` bytes of them. Any thread; wait-free. */
FLETCH_EXPORT void fletch_account_statistics(const struct fletch_account *account,
                                             struct fletch_budget_statistics *out_statistics);

/** Calls `visit` for each account below `account` that is open or has bytes charged, in no order.
 *  `visit` may keep nothing of what it is shown, and returns whether to go on. Accounts that come
 *  and go meanwhile may be left out. Any thread. */
FLETCH_EXPORT void fletch_account_visit(const struct fletch_account *account,
                                        bool (*visit)(void *context,
                                                      const struct fletch_budget_statistics *held),
                                        void *context);

FLETCH_END_DECLS

#endif
