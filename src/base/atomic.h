#ifndef FLETCH_BASE_ATOMIC_H
#define FLETCH_BASE_ATOMIC_H

/* The only door to atomic operations: each one carries its memory order in its name, so that the
 * order can be read, searched and checked where it is used. C11 rules apply throughout; orders that
 * the library does not use are not here. */

#include <stdatomic.h>
#include <stdint.h>

/* Two fields this far apart never share a line that travels between cores: two lines of 64 bytes,
 * since x86-64 prefetches lines in pairs; also the line of some aarch64 processors. */
#define FLETCH_INTERFERENCE_BYTES 128

/* Puts the field that follows it on a line of its own. */
#ifdef FLETCH_MODEL_CHECK
#define FLETCH_ISOLATED
#else
#define FLETCH_ISOLATED _Alignas(FLETCH_INTERFERENCE_BYTES)
#endif

#define load_relaxed(address) atomic_load_explicit((address), memory_order_relaxed)
#define load_acquire(address) atomic_load_explicit((address), memory_order_acquire)

#define store_relaxed(address, value) \
    atomic_store_explicit((address), (value), memory_order_relaxed)
#define store_release(address, value) \
    atomic_store_explicit((address), (value), memory_order_release)

#define exchange_relaxed(address, value) \
    atomic_exchange_explicit((address), (value), memory_order_relaxed)
#define exchange_acquire(address, value) \
    atomic_exchange_explicit((address), (value), memory_order_acquire)
#define exchange_acq_rel(address, value) \
    atomic_exchange_explicit((address), (value), memory_order_acq_rel)

#define fetch_add_relaxed(address, value) \
    atomic_fetch_add_explicit((address), (value), memory_order_relaxed)
#define fetch_add_release(address, value) \
    atomic_fetch_add_explicit((address), (value), memory_order_release)
#define fetch_add_acq_rel(address, value) \
    atomic_fetch_add_explicit((address), (value), memory_order_acq_rel)
#define fetch_sub_relaxed(address, value) \
    atomic_fetch_sub_explicit((address), (value), memory_order_relaxed)
#define fetch_sub_release(address, value) \
    atomic_fetch_sub_explicit((address), (value), memory_order_release)
#define fetch_sub_acq_rel(address, value) \
    atomic_fetch_sub_explicit((address), (value), memory_order_acq_rel)
#define fetch_and_relaxed(address, value) \
    atomic_fetch_and_explicit((address), (value), memory_order_relaxed)
#define fetch_and_release(address, value) \
    atomic_fetch_and_explicit((address), (value), memory_order_release)
#define fetch_or_relaxed(address, value) \
    atomic_fetch_or_explicit((address), (value), memory_order_relaxed)
#define fetch_or_release(address, value) \
    atomic_fetch_or_explicit((address), (value), memory_order_release)
#define fetch_or_acq_rel(address, value) \
    atomic_fetch_or_explicit((address), (value), memory_order_acq_rel)

/* Adds one to a counter that only one thread writes: no locked instruction. */
#define count_one(address) store_relaxed((address), load_relaxed(address) + 1)

/* Compare-and-swap: true if `*address` was `*expected` and is now `value`; otherwise `*expected` is
 * what was found, read relaxed (acquire: cas_strong_acq_rel). The weak
 * forms may fail for no reason and belong into loops. */
#define cas_strong_relaxed(address, expected, value) \
    atomic_compare_exchange_strong_explicit((address), (expected), (value), memory_order_relaxed, \
                                            memory_order_relaxed)
#define cas_strong_acquire(address, expected, value) \
    atomic_compare_exchange_strong_explicit((address), (expected), (value), memory_order_acquire, \
                                            memory_order_relaxed)
#define cas_strong_release(address, expected, value) \
    atomic_compare_exchange_strong_explicit((address), (expected), (value), memory_order_release, \
                                            memory_order_relaxed)
#define cas_strong_acq_rel(address, expected, value) \
    atomic_compare_exchange_strong_explicit((address), (expected), (value), memory_order_acq_rel, \
                                            memory_order_acquire)
#define cas_weak_acq_rel(address, expected, value) \
    atomic_compare_exchange_weak_explicit((address), (expected), (value), memory_order_acq_rel, \
                                          memory_order_relaxed)
#define cas_weak_relaxed(address, expected, value) \
    atomic_compare_exchange_weak_explicit((address), (expected), (value), memory_order_relaxed, \
                                          memory_order_relaxed)
#define cas_weak_release(address, expected, value) \
    atomic_compare_exchange_weak_explicit((address), (expected), (value), memory_order_release, \
                                          memory_order_relaxed)
#define cas_weak_acquire(address, expected, value) \
    atomic_compare_exchange_weak_explicit((address), (expected), (value), memory_order_acquire, \
                                          memory_order_relaxed)
/* What was found is read acquire too. */
#define cas_weak_acquire_both(address, expected, value) \
    atomic_compare_exchange_weak_explicit((address), (expected), (value), memory_order_acquire, \
                                          memory_order_acquire)

/* Full barrier between all earlier and all later accesses, in the one order that all threads agree
 * on. Used by base/asymmetric_fence.h alone. */
#define fence_seq_cst() atomic_thread_fence(memory_order_seq_cst)
/* Keeps the compiler from moving accesses; no instruction. */
#define fence_compiler() atomic_signal_fence(memory_order_seq_cst)

#endif
