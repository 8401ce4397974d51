#include "sync/lane_set.h"

#include <string.h>

#include "base/bits.h"
#include "base/checked.h"
#include "base/cpu.h"
#include "base/inlining.h"

/* Lanes of one word of a bitmap. */
enum { WORD_LANES = 64 };

#ifndef FLETCH_MODEL_CHECK
#define GROUP_OF(field) (offsetof(struct fletch_lane_set, field) / FLETCH_INTERFERENCE_BYTES)
_Static_assert(GROUP_OF(gate) > GROUP_OF(watch), "the gate shares no line");
_Static_assert(GROUP_OF(round) > GROUP_OF(gate), "the consumer's fields share no line");
#endif

/* ---- making ---- */

/* Where the parts lie, from the start of the memory. */
struct parts {
    size_t asleep, free, put_to_sleep, awake, dozing, watch, lanes;
};

static size_t group_bytes(size_t bytes)
{
    return fletch_round_up(bytes, FLETCH_INTERFERENCE_BYTES);
}

/* Each part begins a group: what producers read shares no line with what the consumer writes. */
static size_t place(size_t *end, size_t bytes)
{
    size_t offset = *end;
    *end += group_bytes(bytes);
    return offset;
}

static size_t words_of(size_t lane_count)
{
    return (lane_count + WORD_LANES - 1) / WORD_LANES;
}

static struct parts place_parts(size_t lane_count)
{
    struct parts parts;
    size_t words = words_of(lane_count), end = 0;
    parts.asleep = place(&end, words * sizeof(uint64_t));
    parts.free = place(&end, words * sizeof(uint64_t));
    parts.put_to_sleep = place(&end, words * sizeof(uint64_t));
    parts.awake = place(&end, lane_count * sizeof(uint32_t));
    parts.dozing = place(&end, lane_count * sizeof(uint32_t));
    parts.watch = place(&end, lane_count * sizeof(struct fletch_lane_watch));
    parts.lanes = end;
    return parts;
}

/* Of a lane: the ring comes behind its constants. */
static size_t ring_offset(void)
{
    return group_bytes(sizeof(struct fletch_fan_in_lane));
}

bool fletch_lane_set_bytes(size_t lane_count, size_t ring_bytes, size_t *out_bytes)
{
    size_t stride, bytes;
    return fletch_checked_add(ring_bytes, ring_offset(), &stride) &&
           fletch_checked_multiply(lane_count, stride, &bytes) &&
           fletch_checked_add(bytes, place_parts(lane_count).lanes, out_bytes);
}

static enum fletch_status start_lane(struct fletch_lane_set *set, uint32_t number,
                                     size_t ring_bytes,
                                     const struct fletch_spsc_ring_options *options,
                                     struct fletch_error *error)
{
    struct fletch_fan_in_lane *lane = fletch_lane_at(set, number);
    uint32_t word = number / WORD_LANES;
    lane->fan_in = NULL;
    lane->asleep = &set->asleep[word];
    lane->bit = UINT64_C(1) << number % WORD_LANES;
    lane->fence_kind = set->fence_kind;
    lane->number = number;
    set->watch[number] = (struct fletch_lane_watch){.misses = 0};
    set->put_to_sleep[word] |= lane->bit;
    /* relaxed: nobody else knows the set yet, and who tells them orders this before */
    store_relaxed(lane->asleep, set->put_to_sleep[word]);
    store_relaxed(&set->free[word], set->put_to_sleep[word]); /* relaxed: as above */
    return fletch_spsc_ring_init((char *)lane + ring_offset(), ring_bytes, options, &lane->ring,
                                 error);
}

enum fletch_status fletch_lane_set_start(struct fletch_lane_set *set, void *memory,
                                         uint32_t lane_count,
                                         const struct fletch_spsc_ring_options *options,
                                         struct fletch_error *error)
{
    const struct parts parts = place_parts(lane_count);
    char *block = memory;
    size_t ring_bytes;
    enum fletch_status status = fletch_spsc_ring_bytes(options, &ring_bytes, error);
    if (status != FLETCH_OK)
        return status;
    set->fence_kind = fletch_fence_kind_of_process();
    set->lane_count = lane_count;
    set->word_count = (uint32_t)words_of(lane_count);
    set->lane_stride = ring_offset() + ring_bytes;
    set->lanes = block + parts.lanes;
    set->asleep = (_Atomic uint64_t *)(void *)(block + parts.asleep);
    set->free = (_Atomic uint64_t *)(void *)(block + parts.free);
    set->put_to_sleep = (uint64_t *)(void *)(block + parts.put_to_sleep);
    set->awake = (uint32_t *)(void *)(block + parts.awake);
    set->dozing = (uint32_t *)(void *)(block + parts.dozing);
    set->watch = (struct fletch_lane_watch *)(void *)(block + parts.watch);
    set->round = (struct fletch_lane_round){.may_doze = true};
    store_relaxed(&set->gate, 0); /* relaxed: as in start_lane */
    memset(set->put_to_sleep, 0, set->word_count * sizeof(uint64_t));
    for (uint32_t i = 0; i < lane_count && status == FLETCH_OK; i++)
        status = start_lane(set, i, ring_bytes, options, error);
    return status;
}

/* ---- taking lanes ---- */

/* One of the free lanes, of which there is one for each caller. */
static struct fletch_fan_in_lane *take_free_lane(struct fletch_lane_set *set)
{
    for (uint32_t word = 0;; word++) {
        if (word == set->word_count) {
            fletch_cpu_relax(); /* one is being put back */
            word = 0;
        }
        /* relaxed: only a compare-and-swap that finds the same value uses it */
        uint64_t bits = load_relaxed(&set->free[word]);
        while (bits != 0) {
            uint32_t index = (uint32_t)__builtin_ctzll(bits);
            uint64_t rest = bits & (bits - 1);
            if (cas_weak_acquire(&set->free[word], &bits, rest)) /* E1 acquire */
                return fletch_lane_at(set, word * WORD_LANES + index);
        }
    }
}

enum fletch_answer fletch_lane_set_take(struct fletch_lane_set *set,
                                        struct fletch_fan_in_lane **out_lane)
{
    /* relaxed: counts and flags of one word; the lane is handed over by E1 */
    uint64_t gate = load_relaxed(&set->gate);
    do {
        if ((gate & FLETCH_LANES_CLOSED) != 0)
            return FLETCH_CLOSED;
        if (gate / FLETCH_LANE_STEP == set->lane_count)
            return FLETCH_FULL;
    } while (!cas_weak_relaxed(&set->gate, &gate, gate + FLETCH_LANE_STEP)); /* relaxed: so */
    *out_lane = take_free_lane(set);
    return FLETCH_DONE;
}

void fletch_lane_set_close(struct fletch_lane_set *set)
{
    /* relaxed: the order of registrations and closing is that of this one word */
    fetch_or_relaxed(&set->gate, FLETCH_LANES_CLOSED);
}

/* ---- the list of awake lanes ---- */

static struct fletch_lane_watch *watch_of(struct fletch_lane_set *set, uint32_t number)
{
    return &set->watch[number];
}

static void append_awake(struct fletch_lane_set *set, uint32_t number)
{
    watch_of(set, number)->misses = 0;
    set->awake[set->round.awake_count++] = number;
}

static void note_misses(struct fletch_lane_set *set, uint32_t number, uint32_t misses)
{
    struct fletch_lane_watch *watch = watch_of(set, number);
    set->round.tired_count -= watch->misses == FLETCH_LANE_DOZE_AFTER;
    set->round.tired_count += misses == FLETCH_LANE_DOZE_AFTER;
    watch->misses = misses;
}

/* The others keep their order, and nobody's turn is left out. */
static void remove_awake(struct fletch_lane_set *set, uint32_t index)
{
    struct fletch_lane_round *round = &set->round;
    uint32_t *at = set->awake + index;
    note_misses(set, *at, 0);
    round->awake_count--;
    memmove(at, at + 1, (round->awake_count - index) * sizeof *at);
    if (index < round->next)
        round->next--;
}

/* Lanes whose producers have cleared their bits join the list. */
static void welcome_woken(struct fletch_lane_set *set)
{
    for (uint32_t word = 0; word < set->word_count; word++) {
        /* relaxed: says where to look; what is there is seen by the lane's edges */
        uint64_t woken = set->put_to_sleep[word] & ~load_relaxed(&set->asleep[word]);
        set->put_to_sleep[word] &= ~woken;
        for (; woken != 0; woken &= woken - 1) {
            uint32_t number = word * WORD_LANES + (uint32_t)__builtin_ctzll(woken);
            if (!watch_of(set, number)->held)
                append_awake(set, number);
        }
    }
}

static void set_asleep(struct fletch_lane_set *set, uint32_t number)
{
    struct fletch_fan_in_lane *lane = fletch_lane_at(set, number);
    set->put_to_sleep[number / WORD_LANES] |= lane->bit;
    /* relaxed: whoever must see it has F1 or E1 behind it */
    fetch_or_relaxed(lane->asleep, lane->bit);
}

static void set_awake(struct fletch_lane_set *set, uint32_t number)
{
    struct fletch_fan_in_lane *lane = fletch_lane_at(set, number);
    set->put_to_sleep[number / WORD_LANES] &= ~lane->bit;
    fetch_and_relaxed(lane->asleep, ~lane->bit); /* relaxed: nothing depends on when it is seen */
    append_awake(set, number);
}

/* ---- falling asleep ---- */

/* Takes the tired lanes off the list, into `dozing`; returns how many they are. */
static uint32_t collect_tired(struct fletch_lane_set *set)
{
    struct fletch_lane_round *round = &set->round;
    uint32_t kept = 0, tired = 0;
    for (uint32_t i = 0; i < round->awake_count; i++) {
        uint32_t number = set->awake[i];
        if (watch_of(set, number)->misses < FLETCH_LANE_DOZE_AFTER) {
            set->awake[kept++] = number;
            continue;
        }
        set->dozing[tired++] = number;
        set_asleep(set, number);
    }
    round->awake_count = kept;
    round->tired_count = 0;
    return tired;
}

/* At the end of a round. Whoever is found to have something after the fence stays awake. */
static FLETCH_NEVER_INLINE void fall_asleep(struct fletch_lane_set *set)
{
    uint32_t tired = collect_tired(set);
    bool may_doze = fletch_fence_seldom(set->fence_kind); /* F1 */
    set->round.may_doze = may_doze;
    for (uint32_t i = 0; i < tired; i++) {
        uint32_t number = set->dozing[i];
        struct fletch_spsc_ring *ring = fletch_lane_at(set, number)->ring;
        if (!may_doze || fletch_spsc_ring_look(ring) != FLETCH_EMPTY)
            set_awake(set, number);
    }
}

static bool many_are_tired(const struct fletch_lane_set *set)
{
    const struct fletch_lane_round *round = &set->round;
    return round->awake_count > FLETCH_LANES_AWAKE_FEW && round->may_doze &&
           round->tired_count >= (round->awake_count + 1) / 2;
}

/* ---- turns ---- */

/* A lane that its producer has closed, and that is drained, is free again. */
static void free_lane(struct fletch_lane_set *set, uint32_t index)
{
    uint32_t number = set->awake[index];
    struct fletch_fan_in_lane *lane = fletch_lane_at(set, number);
    remove_awake(set, index);
    /* relaxed: E1 hands it over; a cancelling is for the next producer too */
    fetch_and_relaxed(&lane->ring->header.shut, ~(uint32_t)FLETCH_RING_CLOSED);
    set_asleep(set, number);
    fetch_or_release(&set->free[number / WORD_LANES], lane->bit); /* E1 release */
    /* relaxed: comes after the bit, so that who is let in by it finds one; who misses the bit for
     * a moment looks again */
    fetch_sub_relaxed(&set->gate, FLETCH_LANE_STEP);
}

/* Looks at the lane that comes next, and lets it have the turn (DONE) or passes it over. */
static enum fletch_answer offer_turn(struct fletch_lane_set *set,
                                     struct fletch_fan_in_lane **out_lane)
{
    struct fletch_lane_round *round = &set->round;
    uint32_t number = set->awake[round->next];
    uint32_t misses = watch_of(set, number)->misses;
    *out_lane = fletch_lane_at(set, number);
    enum fletch_answer answer = fletch_spsc_ring_look((*out_lane)->ring);
    if (answer == FLETCH_CLOSED) {
        free_lane(set, round->next);
        return answer;
    }
    if (answer == FLETCH_DONE)
        misses = 0;
    else if (misses < FLETCH_LANE_DOZE_AFTER)
        misses++;
    note_misses(set, number, misses);
    round->next++;
    return answer;
}

/* A round is over: who is tired goes, who has woken comes. Whether there is somebody new at the end
 * of the list. */
static bool end_round(struct fletch_lane_set *set)
{
    struct fletch_lane_round *round = &set->round;
    uint32_t kept = round->awake_count;
    round->next = 0;
    if (__builtin_expect(many_are_tired(set), 0)) {
        kept -= round->tired_count;
        fall_asleep(set);
    }
    welcome_woken(set);
    return round->awake_count > kept;
}

/* Each lane that is awake is looked at, and each that wakes up meanwhile; but not without end, if
 * one wakes up again and again. */
enum fletch_answer fletch_lane_set_turn(struct fletch_lane_set *set,
                                        struct fletch_fan_in_lane **out_lane)
{
    struct fletch_lane_round *round = &set->round;
    uint32_t unseen = round->awake_count;
    int extra_rounds = 2;
    for (;; unseen--) {
        if (round->next >= round->awake_count) {
            bool new_ones = end_round(set);
            if ((new_ones && extra_rounds-- > 0) || unseen > round->awake_count)
                unseen = round->awake_count;
        }
        if (unseen == 0)
            break;
        if (offer_turn(set, out_lane) == FLETCH_DONE)
            return FLETCH_DONE;
    }
    /* relaxed: nothing follows a closed gate without lanes, and it hands nothing over */
    return load_relaxed(&set->gate) == FLETCH_LANES_CLOSED ? FLETCH_CLOSED : FLETCH_EMPTY;
}

/* ---- holding ---- */

void fletch_lane_set_hold(struct fletch_lane_set *set, uint32_t number)
{
    watch_of(set, number)->held = true;
    for (uint32_t i = 0; i < set->round.awake_count; i++)
        if (set->awake[i] == number) {
            remove_awake(set, i);
            return;
        }
}

/* One that is asleep wakes up as any other. */
void fletch_lane_set_resume(struct fletch_lane_set *set, uint32_t number)
{
    if (!watch_of(set, number)->held)
        return;
    watch_of(set, number)->held = false;
    if ((set->put_to_sleep[number / WORD_LANES] & fletch_lane_at(set, number)->bit) == 0)
        append_awake(set, number);
}
