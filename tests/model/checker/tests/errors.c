/* Errors of each kind, by name: MADE is one of the functions below. The first ones are none. */

#undef NDEBUG
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "../../harness.h"
#include "base/futex.h"

static _Atomic uint32_t flag;
static struct harness_thread thread;
static uint64_t *volatile block; /* volatile: gcc would see the errors itself */
static pthread_mutex_t first = PTHREAD_MUTEX_INITIALIZER, second = PTHREAD_MUTEX_INITIALIZER;

/* ---- what is right ---- */

static _Thread_local int local = 7;

static void *change_local(void *unused)
{
    harness_assert(local == 7);
    local = 8;
    atomic_fetch_add(&flag, 1);
    harness_assert(local == 8);
    return unused;
}

void thread_local_variables(void);
void thread_local_variables(void)
{
    harness_assert(local == 7); /* also in the second execution */
    local = 6;
    harness_start(&thread, change_local, NULL);
    harness_assert(local == 6);
    atomic_fetch_add(&flag, 1);
    harness_join(&thread);
    harness_assert(local == 6 && flag == 2);
}

static void *add_under_mutex(void *unused)
{
    pthread_mutex_lock(&first);
    block[0]++;
    pthread_mutex_unlock(&first);
    return unused;
}

void mutex(void);
void mutex(void)
{
    block = calloc(2, sizeof *block);
    harness_start(&thread, add_under_mutex, NULL);
    add_under_mutex(NULL);
    harness_join(&thread);
    harness_assert(block[0] == 2 && block[1] == 0);
    free(block);
}

struct plain {
    _Atomic uint32_t word;
    uint32_t other;
};

/* Plain writes to atomic objects, before and between atomic ones. */
void plain_initialisation(void);
void plain_initialisation(void)
{
    struct plain *object = malloc(sizeof *object);
    memset(object, 0, sizeof *object);
    harness_start(&thread, change_local, NULL);
    harness_assert(atomic_fetch_add(&object->word, 3) == 0);
    memset(object, 1, sizeof *object);
    harness_assert(atomic_load(&object->word) == 0x01010101);
    harness_join(&thread);
    free(object);
}

/* ---- what is wrong ---- */

static void *read_block(void *unused)
{
    if (atomic_load_explicit(&flag, memory_order_relaxed) == 0)
        harness_assert(block[0] == 5);
    return unused;
}

void free_while_read(void);
void free_while_read(void)
{
    block = malloc(sizeof *block);
    block[0] = 5;
    harness_start(&thread, read_block, NULL);
    atomic_store_explicit(&flag, 1, memory_order_relaxed);
    free(block);
    harness_join(&thread);
}

void use_after_free(void);
void use_after_free(void)
{
    block = malloc(sizeof *block);
    free(block);
    block[0] = 1;
}

void double_free(void);
void double_free(void)
{
    block = malloc(sizeof *block);
    free(block);
    free(block);
}

void invalid_free(void);
void invalid_free(void)
{
    uint64_t *volatile inside = block = malloc(2 * sizeof *block);
    inside++;
    free(inside);
}

void leak(void);
void leak(void)
{
    block = malloc(sizeof *block);
}

void out_of_bounds(void);
void out_of_bounds(void)
{
    volatile size_t one = 1;
    block = malloc(sizeof *block);
    block[one] = 1;
    free(block);
}

void out_of_bounds_copy(void);
void out_of_bounds_copy(void)
{
    uint64_t source[2] = {1, 2};
    block = malloc(sizeof *block + 4);
    memcpy(block, source, sizeof source);
    free(block);
}

void uninitialised(void);
void uninitialised(void)
{
    block = malloc(2 * sizeof *block);
    block[0] = 1;
    harness_assert(block[1] != 3);
    free(block);
}

void uninitialised_copy(void);
void uninitialised_copy(void)
{
    uint64_t *copy = malloc(2 * sizeof *copy);
    block = malloc(2 * sizeof *block);
    block[0] = 1;
    memcpy(copy, block, 2 * sizeof *block); /* allowed: may be padding */
    harness_assert(copy[0] == 1);
    harness_assert(copy[1] != 3);
    free(block);
    free(copy);
}

void mixed_size(void);
void mixed_size(void)
{
    block = malloc(sizeof *block);
    atomic_store((_Atomic uint64_t *)block, 1);
    atomic_store((_Atomic uint32_t *)block, 1);
    free(block);
}

static void *write_plainly(void *unused)
{
    *(uint32_t *)&flag = 1;
    return unused;
}

void race_with_atomic(void);
void race_with_atomic(void)
{
    harness_start(&thread, write_plainly, NULL);
    atomic_fetch_add(&flag, 1);
    harness_join(&thread);
}

static void *lock_backwards(void *unused)
{
    pthread_mutex_lock(&second);
    pthread_mutex_lock(&first);
    pthread_mutex_unlock(&first);
    pthread_mutex_unlock(&second);
    return unused;
}

void deadlock(void);
void deadlock(void)
{
    harness_start(&thread, lock_backwards, NULL);
    pthread_mutex_lock(&first);
    pthread_mutex_lock(&second);
    pthread_mutex_unlock(&second);
    pthread_mutex_unlock(&first);
    harness_join(&thread);
}

static void *wait_once(void *unused)
{
    if (atomic_load(&flag) == 0)
        fletch_futex_wait(&flag, 0, UINT64_MAX, false);
    return unused;
}

/* The waker wakes first, and only then changes the word. */
void lost_wakeup(void);
void lost_wakeup(void)
{
    harness_start(&thread, wait_once, NULL);
    fletch_futex_wake(&flag, 1, false);
    atomic_store(&flag, 1);
    harness_join(&thread);
}

static void *spin(void *unused)
{
    while (atomic_load(&flag) != 2)
        harness_pause();
    return unused;
}

void livelock(void);
void livelock(void)
{
    harness_start(&thread, spin, NULL);
    atomic_store(&flag, 1);
    harness_join(&thread);
}

static void *spin_silently(void *unused)
{
    while (atomic_load(&flag) == 0)
        continue;
    return unused;
}

void endless(void);
void endless(void)
{
    harness_start(&thread, spin_silently, NULL);
    harness_join(&thread);
}

void crash(void);
void crash(void)
{
    volatile uint64_t *volatile nothing = NULL;
    *nothing = 1;
}

void assertion(void);
void assertion(void)
{
    atomic_store(&flag, 1);
    assert(atomic_load(&flag) == 2);
}

void harness(void)
{
    MADE();
}
