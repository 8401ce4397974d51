#ifndef FLETCH_SHUFFLE_CREDIT_ORDER_H
#define FLETCH_SHUFFLE_CREDIT_ORDER_H

/* Who waits, by age, and how much each needs: finds the oldest whose need is met in a logarithm of
 * their number. A treap (C. Aragon and R. Seidel, "Randomized search trees", 1989) by ticket, in
 * which each entry knows the least need below it. One thread; entries are the caller's. */

#include <stdbool.h>
#include <stdint.h>

struct fletch_credit_place {
    uint64_t ticket; /* the lower the older; no two are equal */
    uint64_t need;
    uint64_t least_need; /* of this place and those below it */
    uint64_t priority;
    struct fletch_credit_place *parent;
    struct fletch_credit_place *left;
    struct fletch_credit_place *right;
};

struct fletch_credit_order {
    struct fletch_credit_place *root;
};

void fletch_credit_order_insert(struct fletch_credit_order *order,
                                struct fletch_credit_place *place, uint64_t ticket, uint64_t need);
void fletch_credit_order_remove(struct fletch_credit_order *order,
                                struct fletch_credit_place *place);
void fletch_credit_order_change(struct fletch_credit_place *place, uint64_t need);

/* The oldest place with a need of at most `available`, or NULL. */
struct fletch_credit_place *fletch_credit_order_first(const struct fletch_credit_order *order,
                                                      uint64_t available);

/* The oldest place of all, and the next younger one; or NULL. */
struct fletch_credit_place *fletch_credit_order_oldest(const struct fletch_credit_order *order);
struct fletch_credit_place *fletch_credit_order_next(struct fletch_credit_place *place);

#endif
