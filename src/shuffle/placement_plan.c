#include "shuffle/placement_plan.h"

#include <string.h>

#include "base/allocator.h"
#include "base/options.h"
#include "base/status.h"

static enum fletch_status refuse(struct fletch_error *error, const char *what, uint64_t found,
                                 uint64_t least, uint64_t most)
{
    return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                            "INVALID_ARGUMENT: %s of the placement is %llu, expected %llu to %llu",
                            what, (unsigned long long)found, (unsigned long long)least,
                            (unsigned long long)most);
}

/* ---- what can be wrong ---- */

static enum fletch_status check_addresses(const struct fletch_placement *given,
                                          struct fletch_error *error)
{
    if (given->address_count == 0 || given->address_count > FLETCH_PROCESSES_MAX)
        return refuse(error, "address_count", given->address_count, 1, FLETCH_PROCESSES_MAX);
    if (given->addresses == NULL)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "INVALID_ARGUMENT: a placement needs addresses");
    for (uint32_t i = 0; i < given->address_count; i++) {
        size_t bytes = given->addresses[i] == NULL ? 0 : strlen(given->addresses[i]);
        if (bytes == 0 || bytes > FLETCH_ADDRESS_BYTES_MAX)
            return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                    "INVALID_ARGUMENT: address %u of the placement has %zu bytes, "
                                    "expected 1 to %u",
                                    i, bytes, FLETCH_ADDRESS_BYTES_MAX);
    }
    return FLETCH_OK;
}

static enum fletch_status check_indices(const char *what, const uint32_t *indices, uint32_t count,
                                        uint32_t address_count, struct fletch_error *error)
{
    for (uint32_t i = 0; indices != NULL && i < count; i++)
        if (indices[i] >= address_count)
            return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                    "INVALID_ARGUMENT: %s %u of the placement is at address %u, "
                                    "expected 0 to %u",
                                    what, i, indices[i], address_count - 1);
    return FLETCH_OK;
}

static enum fletch_status check_pull(const struct fletch_placement *given,
                                     const struct fletch_placement_size *size,
                                     struct fletch_error *error)
{
    if (given->mode != FLETCH_PLACEMENT_PULL)
        return FLETCH_OK;
    if (given->producer_homes == NULL)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "INVALID_ARGUMENT: a placement that pulls needs producer_homes");
    if (given->partition_owners != NULL)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "INVALID_ARGUMENT: a placement that pulls has no partition_owners");
    if (size->producer_limit > size->producer_count)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "INVALID_ARGUMENT: producer_limit is %u, expected %u: a shuffle "
                                "that is pulled has a fixed set of producers",
                                size->producer_limit, size->producer_count);
    return FLETCH_OK;
}

static enum fletch_status check(const struct fletch_placement *given,
                                const struct fletch_placement_size *size,
                                struct fletch_error *error)
{
    if (given->mode > FLETCH_PLACEMENT_PULL)
        return refuse(error, "mode", given->mode, FLETCH_PLACEMENT_PUSH, FLETCH_PLACEMENT_PULL);
    enum fletch_status status = check_addresses(given, error);
    if (status == FLETCH_OK && given->self >= given->address_count &&
        given->self != FLETCH_NO_PROCESS)
        status = refuse(error, "self", given->self, 0, given->address_count - 1);
    if (status == FLETCH_OK)
        status = check_pull(given, size, error);
    if (status == FLETCH_OK)
        status = check_indices("the owner of partition", given->partition_owners,
                               size->partition_count, given->address_count, error);
    if (status == FLETCH_OK)
        status = check_indices("the home of producer", given->producer_homes, size->producer_limit,
                               given->address_count, error);
    return status;
}

/* ---- copying ---- */

static size_t text_bytes(const struct fletch_placement *given)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < given->address_count; i++)
        bytes += strlen(given->addresses[i]) + 1;
    return bytes;
}

static void copy_addresses(struct fletch_placement_plan *plan, const struct fletch_placement *given,
                           char *text)
{
    for (uint32_t i = 0; i < given->address_count; i++) {
        size_t bytes = strlen(given->addresses[i]) + 1;
        memcpy(text, given->addresses[i], bytes);
        plan->addresses[i] = text;
        text += bytes;
    }
}

static void copy_owners(struct fletch_placement_plan *plan, const struct fletch_placement *given,
                        uint32_t partition_count)
{
    for (uint32_t p = 0; p < partition_count; p++) {
        plan->owners[p] =
            given->partition_owners == NULL ? p % given->address_count : given->partition_owners[p];
        if (plan->owners[p] == given->self)
            plan->local_count++;
        else
            plan->has_others = true;
    }
}

/* Pointers, then numbers, then text. */
static enum fletch_status copy(struct fletch_placement_plan *plan,
                               const struct fletch_placement *given,
                               const struct fletch_placement_size *size,
                               const struct fletch_allocator *allocator, struct fletch_error *error)
{
    bool pushes = given->mode == FLETCH_PLACEMENT_PUSH;
    size_t owners = pushes ? size->partition_count : 0;
    size_t homes = given->producer_homes == NULL ? 0 : size->producer_limit;
    size_t bytes = given->address_count * sizeof plan->addresses[0] +
                   (owners + homes) * sizeof plan->owners[0] + text_bytes(given);
    char *block = fletch_block_allocate(allocator, bytes);
    if (block == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "RESOURCE_EXHAUSTED: no memory for a placement: %zu bytes", bytes);
    plan->block = block;
    plan->addresses = (char **)(void *)block;
    uint32_t *numbers = (uint32_t *)(void *)(plan->addresses + given->address_count);
    plan->owners = pushes ? numbers : NULL;
    plan->homes = homes == 0 ? NULL : numbers + owners;
    copy_addresses(plan, given, (char *)(numbers + owners + homes));
    if (pushes)
        copy_owners(plan, given, size->partition_count);
    if (homes != 0)
        memcpy(plan->homes, given->producer_homes, homes * sizeof plan->homes[0]);
    plan->mode = given->mode;
    plan->self = given->self;
    plan->address_count = given->address_count;
    plan->is_there = true;
    plan->has_others |= !pushes;
    return FLETCH_OK;
}

enum fletch_status fletch_placement_plan_init(struct fletch_placement_plan *plan,
                                              const struct fletch_placement *given,
                                              const struct fletch_placement_size *size,
                                              const struct fletch_allocator *allocator,
                                              struct fletch_error *error)
{
    struct fletch_placement known;
    *plan = (struct fletch_placement_plan){.is_there = false};
    if (given == NULL)
        return FLETCH_OK;
    enum fletch_status status =
        fletch_options_copy(&known, sizeof known, given, sizeof known, error);
    if (status == FLETCH_OK)
        status = check(&known, size, error);
    return status == FLETCH_OK ? copy(plan, &known, size, allocator, error) : status;
}

void fletch_placement_plan_deinit(struct fletch_placement_plan *plan)
{
    if (plan->block != NULL)
        fletch_block_release(plan->block);
    plan->block = NULL;
}
