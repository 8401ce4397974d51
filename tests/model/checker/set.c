/* Sets of numbers: open addressing, 0 marks a free place and is kept as another number. */

#include <stdlib.h>

#include "checker.h"
#include "search.h"

static const uint64_t zero = UINT64_C(0xfeedfacecafebeef);

static size_t place_of(const struct mc_set *set, uint64_t number)
{
    size_t at = (size_t)(number * UINT64_C(0x9e3779b97f4a7c15) >> 20) % set->capacity;
    while (set->number[at] != 0 && set->number[at] != number)
        at = (at + 1) % set->capacity;
    return at;
}

bool mc_set_has(const struct mc_set *set, uint64_t number)
{
    if (number == 0)
        number = zero;
    return set->capacity > 0 && set->number[place_of(set, number)] == number;
}

static void grow(struct mc_set *set)
{
    struct mc_set old = *set;
    set->capacity = old.capacity == 0 ? 64 : 2 * old.capacity;
    set->number = calloc(set->capacity, sizeof set->number[0]);
    if (set->number == NULL)
        mc_internal("no memory for a set");
    for (size_t i = 0; i < old.capacity; i++)
        if (old.number[i] != 0)
            set->number[place_of(set, old.number[i])] = old.number[i];
    free(old.number);
}

void mc_set_add(struct mc_set *set, uint64_t number)
{
    if (2 * set->count >= set->capacity)
        grow(set);
    if (number == 0)
        number = zero;
    size_t at = place_of(set, number);
    set->count += set->number[at] == 0;
    set->number[at] = number;
}

static bool is_within(const struct mc_set *a, const struct mc_set *b)
{
    for (size_t i = 0; i < a->capacity; i++)
        if (a->number[i] != 0 && !mc_set_has(b, a->number[i]))
            return false;
    return true;
}

bool mc_set_equal(const struct mc_set *a, const struct mc_set *b)
{
    return a->count == b->count && is_within(a, b);
}

void mc_result_free(struct mc_result *result)
{
    free(result->graphs.number);
    free(result->outcomes.number);
}
