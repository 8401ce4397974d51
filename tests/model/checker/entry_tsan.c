/* What gcc -fsanitize=thread calls instead of (atomics, fences) or before (plain accesses) each
 * access to memory. Linked in place of the sanitizer's library. */

#include <stdbool.h>
#include <stdint.h>

#include "actions.h"
#include "report.h"
#include "run.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

/* Notes where in the code under check we are. */
#define HERE() (mc_self()->code = __builtin_return_address(0))

void __tsan_init(void)
{
}

void __tsan_func_entry(void *code)
{
    struct mc_thread *self = mc_self();
    self->call[self->depth++ % 64] = code;
}

void __tsan_func_exit(void)
{
    mc_self()->depth--;
}

/* ---- plain accesses ---- */

#define PLAIN(name, bytes, how) \
    void name(void *address) \
    { \
        HERE(); \
        mc_plain((uintptr_t)address, bytes, how); \
    }

#define PLAIN_OF(bytes) \
    PLAIN(__tsan_read##bytes, bytes, MC_PLAIN_READ) \
    PLAIN(__tsan_write##bytes, bytes, MC_PLAIN_WRITE) \
    PLAIN(__tsan_unaligned_read##bytes, bytes, MC_PLAIN_READ) \
    PLAIN(__tsan_unaligned_write##bytes, bytes, MC_PLAIN_WRITE) \
    PLAIN(__tsan_volatile_read##bytes, bytes, MC_PLAIN_READ) \
    PLAIN(__tsan_volatile_write##bytes, bytes, MC_PLAIN_WRITE)

PLAIN_OF(1)
PLAIN_OF(2)
PLAIN_OF(4)
PLAIN_OF(8)
PLAIN_OF(16)

/* Whole structures, with their padding. */
void __tsan_read_range(void *address, unsigned long bytes)
{
    HERE();
    mc_plain((uintptr_t)address, bytes, MC_COPY_READ);
}

void __tsan_write_range(void *address, unsigned long bytes)
{
    HERE();
    mc_plain((uintptr_t)address, bytes, MC_PLAIN_WRITE);
}

/* ---- atomic accesses ---- */

#define UPDATE(bits, type, name, operation) \
    type __tsan_atomic##bits##_##name(volatile type *address, type operand, int order) \
    { \
        HERE(); \
        return (type)mc_update((uintptr_t)address, bits / 8, operand, order, operation); \
    }

#define COMPARE(bits, type, name, is_weak) \
    int __tsan_atomic##bits##_compare_exchange_##name(volatile type *address, type *expected, \
                                                      type desired, int success, int failure) \
    { \
        HERE(); \
        struct mc_compare_exchange call = {.address = (uintptr_t)address, \
                                           .bytes = bits / 8, \
                                           .expected = *expected, \
                                           .desired = desired, \
                                           .success_order = success, \
                                           .failure_order = failure, \
                                           .weak = is_weak}; \
        bool done = mc_compare_exchange(&call); \
        if (!done) \
            *expected = (type)call.expected; \
        return done; \
    }

#define ATOMIC_OF(bits, type) \
    type __tsan_atomic##bits##_load(const volatile type *address, int order) \
    { \
        HERE(); \
        return (type)mc_load((uintptr_t)address, bits / 8, order); \
    } \
    void __tsan_atomic##bits##_store(volatile type *address, type value, int order) \
    { \
        HERE(); \
        mc_store((uintptr_t)address, bits / 8, value, order); \
    } \
    UPDATE(bits, type, exchange, MC_EXCHANGE) \
    UPDATE(bits, type, fetch_add, MC_ADD) \
    UPDATE(bits, type, fetch_sub, MC_SUB) \
    UPDATE(bits, type, fetch_and, MC_AND) \
    UPDATE(bits, type, fetch_or, MC_OR) \
    UPDATE(bits, type, fetch_xor, MC_XOR) \
    UPDATE(bits, type, fetch_nand, MC_NAND) \
    COMPARE(bits, type, strong, false) \
    COMPARE(bits, type, weak, true) \
    type __tsan_atomic##bits##_compare_exchange_val(volatile type *address, type expected, \
                                                    type desired, int success, int failure) \
    { \
        HERE(); \
        struct mc_compare_exchange call = {.address = (uintptr_t)address, \
                                           .bytes = bits / 8, \
                                           .expected = expected, \
                                           .desired = desired, \
                                           .success_order = success, \
                                           .failure_order = failure}; \
        mc_compare_exchange(&call); \
        return (type)call.expected; \
    }

ATOMIC_OF(8, uint8_t)
ATOMIC_OF(16, uint16_t)
ATOMIC_OF(32, uint32_t)
ATOMIC_OF(64, uint64_t)

void __tsan_atomic_thread_fence(int order)
{
    HERE();
    mc_fence(order);
}

void __tsan_atomic_signal_fence(int order)
{
    (void)order;
}
