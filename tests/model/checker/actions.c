#include "actions.h"

#include <string.h>

#include "fiber.h"
#include "report.h"
#include "run.h"

/* ---- what is not watched ---- */

enum { IGNORED_RANGES = 16 };

struct range {
    uintptr_t low, high;
};

static struct range ignored[IGNORED_RANGES];
static int ignored_count;

void mc_ignore(uintptr_t address, size_t bytes)
{
    for (int i = 0; i < ignored_count; i++)
        if (ignored[i].low == address)
            return;
    if (ignored_count == IGNORED_RANGES)
        mc_internal("more than %d ignored ranges", IGNORED_RANGES);
    ignored[ignored_count++] = (struct range){.low = address, .high = address + bytes};
}

void mc_ignore_nothing(void)
{
    ignored_count = 0;
}

static bool is_ignored(uintptr_t address)
{
    for (int i = 0; i < ignored_count; i++)
        if (address >= ignored[i].low && address < ignored[i].high)
            return true;
    return false;
}

static uint64_t read_memory(uintptr_t address, int bytes)
{
    uint64_t value = 0;
    memcpy(&value, (const void *)address, (size_t)bytes);
    return value;
}

static void write_memory(uintptr_t address, int bytes, uint64_t value)
{
    memcpy((void *)address, &value, (size_t)bytes);
}

/* Before the harness starts its first thread, accesses are no steps either: nobody can see them but
 * as what was there at the beginning. */
static bool is_alone(void)
{
    return mc_run.thread_count == 1;
}

/* ---- atomic accesses ---- */

static void touch_atomically(uintptr_t address, int bytes, enum mc_touch how)
{
    struct mc_toucher who = mc_run_toucher();
    who.epoch--; /* it is the event itself, which its own release publishes */
    if (!mc_fiber_is_local(address))
        mc_memory_touch(&who, address, (size_t)bytes, how);
}

static int read_event(int location, int order, unsigned flags)
{
    return mc_step(&(struct mc_request){
        .kind = MC_READ, .location = location, .order = (uint8_t)order, .flags = (uint8_t)flags});
}

static void write_event(int location, int order, uint64_t value)
{
    mc_step(&(struct mc_request){.kind = MC_WRITE,
                                 .location = location,
                                 .order = (uint8_t)order,
                                 .source = MC_INITIAL,
                                 .value = value});
}

/* The write half of the update that `read` has begun. */
static void update_event(int read, uint64_t value)
{
    const struct mc_event *half = &mc_run.graph->event[read];
    mc_step(&(struct mc_request){.kind = MC_WRITE,
                                 .location = half->location,
                                 .order = half->order,
                                 .flags = MC_UPDATE,
                                 .source = read,
                                 .value = value});
}

uint64_t mc_load(uintptr_t address, int bytes, int order)
{
    if (is_ignored(address))
        return read_memory(address, bytes);
    if (is_alone()) {
        touch_atomically(address, bytes, MC_ATOMIC_READ);
        return read_memory(address, bytes);
    }
    mc_run_flush();
    int read = read_event(mc_location_of(address, bytes), order, 0);
    touch_atomically(address, bytes, MC_ATOMIC_READ);
    return mc_run.graph->event[read].value;
}

void mc_store(uintptr_t address, int bytes, uint64_t value, int order)
{
    if (is_alone())
        touch_atomically(address, bytes, MC_ATOMIC_WRITE);
    if (is_ignored(address) || is_alone()) {
        write_memory(address, bytes, value);
        return;
    }
    mc_run_flush();
    int location = mc_location_of(address, bytes);
    write_event(location, order, value);
    touch_atomically(address, bytes, MC_ATOMIC_WRITE);
}

static uint64_t result_of(enum mc_operation operation, uint64_t old, uint64_t operand)
{
    switch (operation) {
    case MC_ADD:
        return old + operand;
    case MC_SUB:
        return old - operand;
    case MC_AND:
        return old & operand;
    case MC_OR:
        return old | operand;
    case MC_XOR:
        return old ^ operand;
    case MC_NAND:
        return ~(old & operand);
    default:
        return operand;
    }
}

static uint64_t truncated(uint64_t value, int bytes)
{
    return bytes == 8 ? value : value & ((UINT64_C(1) << (8 * bytes)) - 1);
}

uint64_t mc_update(uintptr_t address, int bytes, uint64_t operand, int order,
                   enum mc_operation operation)
{
    if (is_alone())
        touch_atomically(address, bytes, MC_ATOMIC_WRITE);
    if (is_ignored(address) || is_alone()) {
        uint64_t before = read_memory(address, bytes);
        write_memory(address, bytes, result_of(operation, before, operand));
        return before;
    }
    mc_run_flush();
    int read = read_event(mc_location_of(address, bytes), order, MC_UPDATE);
    uint64_t old = mc_run.graph->event[read].value;
    mc_self()->holding = true;
    update_event(read, truncated(result_of(operation, old, operand), bytes));
    mc_self()->holding = false;
    touch_atomically(address, bytes, MC_ATOMIC_WRITE);
    return old;
}

/* Of one that is no step: it fails only where it must. */
static bool compare_exchange_unseen(struct mc_compare_exchange *call)
{
    uint64_t before = read_memory(call->address, call->bytes);
    bool success = before == truncated(call->expected, call->bytes);
    call->expected = before;
    if (success)
        write_memory(call->address, call->bytes, call->desired);
    if (is_alone())
        touch_atomically(call->address, call->bytes, success ? MC_ATOMIC_WRITE : MC_ATOMIC_READ);
    return success;
}

bool mc_compare_exchange(struct mc_compare_exchange *call)
{
    if (is_ignored(call->address) || is_alone())
        return compare_exchange_unseen(call);
    mc_run_flush();
    struct mc_request request = {
        .kind = MC_READ,
        .location = mc_location_of(call->address, call->bytes),
        .orders = {(uint8_t)call->failure_order, (uint8_t)call->success_order},
        .flags = call->weak ? MC_COMPARE | MC_WEAK : MC_COMPARE,
        .expected = call->expected,
    };
    int read = mc_step(&request);
    const struct mc_event *half = &mc_run.graph->event[read];
    bool success = (half->flags & MC_UPDATE) != 0;
    call->expected = half->value;
    if (success) {
        mc_self()->holding = true;
        update_event(read, truncated(call->desired, call->bytes));
        mc_self()->holding = false;
    }
    touch_atomically(call->address, call->bytes, success ? MC_ATOMIC_WRITE : MC_ATOMIC_READ);
    return success;
}

static void fence_event(int order, unsigned flags)
{
    mc_run_flush();
    mc_step(&(struct mc_request){
        .kind = MC_FENCE, .order = (uint8_t)order, .source = MC_INITIAL, .flags = (uint8_t)flags});
}

void mc_fence(int order)
{
    if (order != MC_RELAXED)
        fence_event(order, 0);
}

void mc_fence_light(void)
{
    fence_event(MC_SEQ_CST, MC_LIGHT);
}

void mc_fence_heavy(void)
{
    fence_event(MC_SEQ_CST, MC_HEAVY);
}

/* ---- plain memory ---- */

/* Remembers atomic objects that a plain write covers; their new values become events later, since
 * we are told of the write before it is made. */
static void note_dirty(uintptr_t address, size_t bytes)
{
    struct mc_thread *self = mc_self();
    for (size_t i = 0; i < bytes + 7; i++) {
        int location = mc_location_known(address + i - 7);
        if (location < 0 || address + i - 7 + mc_location_bytes(location) <= address)
            continue;
        bool noted = false;
        for (int k = 0; k < self->dirty_count; k++)
            noted |= self->dirty[k] == location;
        if (noted)
            continue;
        if (self->dirty_count == MC_DIRTY)
            mc_internal("one plain write covers more than %d atomic objects", MC_DIRTY);
        self->dirty[self->dirty_count++] = location;
    }
}

void mc_run_flush(void)
{
    struct mc_thread *self = mc_self();
    while (self->dirty_count > 0) {
        int location = self->dirty[--self->dirty_count];
        uintptr_t address = mc_location_address(location);
        write_event(location, MC_RELAXED, read_memory(address, (int)mc_location_bytes(location)));
    }
}

void mc_plain(uintptr_t address, size_t bytes, enum mc_touch how)
{
    struct mc_toucher who = mc_run_toucher();
    if (mc_fiber_current() == MC_FIBER_SEARCH || bytes == 0 || mc_fiber_is_local(address))
        return;
    if (mc_memory_touch(&who, address, bytes, how))
        note_dirty(address, bytes);
}

/* ---- waiting ---- */

static bool same_looks(const struct mc_turn *a, const struct mc_turn *b, bool own_count)
{
    int i = 0, k = 0;
    for (;; i++, k++) {
        while (i < a->count && a->look[i].own && !own_count)
            i++;
        while (k < b->count && b->look[k].own && !own_count)
            k++;
        if (i == a->count || k == b->count)
            return i == a->count && k == b->count;
        if (a->look[i].location != b->look[k].location || a->look[i].value != b->look[k].value)
            return false;
    }
}

/* Whether two turns of a loop have seen the same. What the thread has written itself is no news: it
 * may count its turns. */
static bool saw_the_same(const struct mc_turn *a, const struct mc_turn *b)
{
    return same_looks(a, b, true) || same_looks(a, b, false);
}

static void begin_turn(struct mc_turn *turn)
{
    turn->count = 0;
    turn->any = turn->spurious = false;
}

void mc_pause(void)
{
    struct mc_thread *self = mc_self();
    mc_run_flush();
    if (!self->turn.any)
        return; /* one of several pauses */
    bool same = self->last_turn.any && saw_the_same(&self->turn, &self->last_turn);
    self->last_turn = self->turn;
    begin_turn(&self->turn);
    self->newest = false;
    if (same) {
        self->state = MC_PAUSED;
        mc_run_yield();
    }
}

void mc_mutex_lock(uintptr_t address)
{
    struct mc_thread *self = mc_self();
    mc_run_flush();
    int location = mc_queue_of(address);
    struct mc_request request = {.kind = MC_READ,
                                 .location = location,
                                 .orders = {MC_RELAXED, MC_ACQUIRE},
                                 .flags = MC_COMPARE};
    for (;;) {
        int read = mc_step(&request);
        if ((mc_run.graph->event[read].flags & MC_UPDATE) != 0) {
            self->holding = true;
            update_event(read, 1);
            self->holding = false;
            return;
        }
        begin_turn(&self->last_turn);
        self->last_turn.look[self->last_turn.count++] = (struct mc_look){
            .location = (uint16_t)location, .value = mc_run.graph->event[read].value};
        self->state = MC_REFUSED;
        mc_run_yield();
    }
}

void mc_mutex_unlock(uintptr_t address)
{
    mc_run_flush();
    write_event(mc_queue_of(address), MC_RELEASE, 0);
}

/* A futex has a queue, one word: numbers of sleeping threads + 1, a byte each, the oldest lowest.
 * The kernel's lock orders what is done to it. */
static uint64_t queue_with(uint64_t queue, int thread)
{
    int shift = 0;
    while ((queue >> shift & 0xff) != 0)
        shift += 8;
    return queue | (uint64_t)(thread + 1) << shift;
}

static uint64_t queue_without(uint64_t queue, int thread)
{
    uint64_t left = 0;
    for (; queue != 0; queue >>= 8)
        if ((int)(queue & 0xff) != thread + 1)
            left = queue_with(left, (int)(queue & 0xff) - 1);
    return left;
}

/* Takes this thread out of the queue, if it is still in it. */
static void time_out(int queue)
{
    struct mc_thread *self = mc_self();
    int read = read_event(queue, MC_ACQ_REL, MC_UPDATE);
    uint64_t sleepers = mc_run.graph->event[read].value;
    uint64_t left = queue_without(sleepers, mc_run.current);
    if (left == sleepers) { /* has been woken: the same as if it had slept on */
        self->state = MC_PRUNED;
        mc_run_yield();
    }
    self->holding = true;
    update_event(read, left);
    self->holding = false;
}

static bool sleep_on(int queue, bool timed)
{
    struct mc_thread *self = mc_self();
    if (timed) {
        int choice =
            mc_step(&(struct mc_request){.kind = MC_CHOICE, .source = MC_INITIAL, .target = 2});
        if (mc_run.graph->event[choice].value == 1) {
            time_out(queue);
            return false;
        }
    }
    self->timed = timed;
    self->state = MC_ASLEEP;
    mc_step(&(struct mc_request){.kind = MC_AWAKE});
    self->state = MC_READY;
    return true;
}

bool mc_futex_wait(uintptr_t address, uint32_t expected, bool timed)
{
    struct mc_thread *self = mc_self();
    mc_run_flush();
    int queue = mc_queue_of(address), word = mc_location_of(address, 4);
    int read = read_event(queue, MC_ACQ_REL, MC_UPDATE);
    self->holding = true; /* the kernel's lock on the queue */
    int look = read_event(word, MC_RELAXED, 0);
    if (mc_run.graph->event[look].value != expected) {
        mc_run.graph->event[read].flags &= (uint8_t)~MC_UPDATE; /* unlocked unchanged */
        self->holding = false;
        return true;
    }
    uint64_t sleepers = queue_with(mc_run.graph->event[read].value, mc_run.current);
    update_event(read, sleepers);
    self->queued = mc_run.position - 1;
    self->holding = false;
    return sleep_on(queue, timed);
}

void mc_futex_wake(uintptr_t address, uint32_t count)
{
    mc_run_flush();
    int queue = mc_queue_of(address);
    int read = read_event(queue, MC_ACQ_REL, MC_UPDATE);
    uint64_t sleepers = mc_run.graph->event[read].value;
    for (uint32_t i = 0; i < count && sleepers != 0; i++)
        sleepers >>= 8;
    mc_self()->holding = true;
    update_event(read, sleepers);
    mc_self()->holding = false;
}

/* ---- threads and time ---- */

int mc_thread_create(void *(*run)(void *), void *argument)
{
    if (mc_run.current != 0)
        mc_internal("only the harness itself may start threads");
    mc_run_flush();
    int create = mc_step(&(struct mc_request){.kind = MC_CREATE, .source = MC_INITIAL});
    int thread = mc_run_add_thread(run, argument);
    mc_run.thread[thread].created = create;
    return thread;
}

void *mc_thread_join(int thread)
{
    mc_run_flush();
    mc_step(&(struct mc_request){.kind = MC_JOIN, .target = thread});
    return mc_run.thread[thread].result;
}

uint64_t mc_clock_ns(void)
{
    mc_self()->clock_ns += 1000000;
    return mc_self()->clock_ns;
}
