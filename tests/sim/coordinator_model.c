#include "sim/coordinator_model.h"

#include "support/cmocka_tests.h"

void model_note(struct model_log *log, enum model_told_kind kind, int64_t value)
{
    assert_true(log->count < MODEL_TOLD_MAX);
    log->told[log->count++] = (struct model_told){kind, value};
}

static void join(struct coordinator_model *model)
{
    struct model_producer *producer = &model->producers[model->producer_count++];
    uint32_t latest = 0;
    for (uint32_t id = 1; id <= MODEL_BARRIERS_MAX; id++)
        if (model->barriers[id].state != MODEL_UNKNOWN)
            latest = id;
    /* It takes part from the first barrier after its registration. */
    producer->reached = (UINT32_C(2) << latest) - 1;
    producer->is_open = producer->counts = true;
    producer->watermark = INT64_MIN;
    producer->word_ns = model->now_ns;
}

void coordinator_model_init(struct coordinator_model *model,
                            const struct fletch_coordinator_options *options)
{
    *model = (struct coordinator_model){
        .producer_limit = options->producer_limit,
        .is_fixed = options->producer_limit == options->producer_count,
        .barrier_limit = options->barrier_limit,
        .partition_count = options->partition_count,
        .idle_ns = options->watermark_idle_ns,
        .now_ns = options->now_ns,
        .watermark = INT64_MIN,
    };
    while (model->producer_count < options->producer_count)
        join(model);
}

uint32_t coordinator_model_in_flight(const struct coordinator_model *model)
{
    uint32_t count = 0;
    for (uint32_t id = 1; id <= MODEL_BARRIERS_MAX; id++)
        count += model->barriers[id].state == MODEL_FLYING ||
                 model->barriers[id].state == MODEL_ON_ITS_WAY;
    return count;
}

bool coordinator_model_allows(const struct coordinator_model *model, const struct model_move *move)
{
    bool waits = model->producers[move->producer].waits_for != 0;
    if (move->kind == MODEL_PASS)
        return model->barriers[move->value].state == MODEL_ON_ITS_WAY;
    if (move->kind == MODEL_TICK || move->kind == MODEL_LATER)
        return true;
    return waits == (move->kind == MODEL_GIVE_UP);
}

/* ---- barriers ---- */

static bool holds_up(const struct model_producer *producer, uint32_t id)
{
    return producer->is_open && (producer->reached >> id & 1) == 0;
}

static bool is_reached_by_all(const struct coordinator_model *model, uint32_t id)
{
    for (uint32_t i = 0; i < model->producer_count; i++)
        if (holds_up(&model->producers[i], id))
            return false;
    return true;
}

/* Who waits for a barrier to start holds up none of those in flight below it. */
static void reach_while_waiting(struct coordinator_model *model)
{
    for (uint32_t i = 0; i < model->producer_count; i++)
        for (uint32_t id = 1; id < model->producers[i].waits_for; id++)
            if (model->barriers[id].state == MODEL_FLYING)
                model->producers[i].reached |= UINT32_C(1) << id;
}

/* In the order of ids: who has not been told of a smaller one is not told of a larger one. */
static void tell_barriers(struct coordinator_model *model, struct model_log *log)
{
    reach_while_waiting(model);
    for (uint32_t id = 1; id <= MODEL_BARRIERS_MAX; id++) {
        if (model->barriers[id].state != MODEL_FLYING)
            continue;
        bool is_aborted = model->barriers[id].is_aborted;
        if (!is_aborted && !is_reached_by_all(model, id))
            return;
        model->barriers[id].state = MODEL_ON_ITS_WAY;
        model->barriers[id].unpassed = model->partition_count;
        model_note(log, is_aborted ? MODEL_TOLD_ABORTED : MODEL_TOLD_BARRIER, id);
    }
}

/* Whether one of ids from `first` on has been told, or else is on its way to be. */
static bool has(const struct coordinator_model *model, uint32_t first, bool told)
{
    for (uint32_t id = first; id <= MODEL_BARRIERS_MAX; id++)
        if (told ? model->barriers[id].state > MODEL_FLYING
                 : model->barriers[id].state == MODEL_FLYING)
            return true;
    return false;
}

/* False: it has to wait. */
static bool try_barrier(struct coordinator_model *model, struct model_producer *producer,
                        uint32_t id)
{
    bool is_past = has(model, id, true) || (producer->reached >> id & 1) != 0;
    bool is_new = !is_past && model->barriers[id].state == MODEL_UNKNOWN;
    bool has_room = coordinator_model_in_flight(model) < model->barrier_limit;
    if (is_new && !has_room && !has(model, id, false))
        return false;
    if (is_new && has_room)
        model->barriers[id].state = MODEL_FLYING;
    producer->named = id;
    producer->reached |= (UINT32_C(2) << id) - 1;
    return true;
}

/* ---- time ---- */

static uint32_t open_count(const struct coordinator_model *model)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < model->producer_count; i++)
        count += model->producers[i].is_open;
    return count;
}

/* The least watermark of those that are neither idle nor ended; the end is +infinity. */
static void tell_watermark(struct coordinator_model *model, struct model_log *log)
{
    int64_t least = INT64_MAX;
    bool is_known = open_count(model) == 0 && !model->is_lost;
    for (uint32_t i = 0; i < model->producer_count; i++) {
        const struct model_producer *producer = &model->producers[i];
        if (!producer->counts)
            continue;
        is_known = true;
        least = producer->watermark < least ? producer->watermark : least;
    }
    if (!is_known || least <= model->watermark)
        return;
    model->watermark = least;
    model_note(log, MODEL_TOLD_WATERMARK, least);
}

static void pass_time(struct coordinator_model *model, uint64_t now_ns, struct model_log *log)
{
    for (uint32_t i = 0; i < model->producer_count; i++)
        if (model->idle_ns != 0 && model->producers[i].word_ns + model->idle_ns <= now_ns)
            model->producers[i].counts = false;
    tell_watermark(model, log);
}

/* ---- moves ---- */

static enum fletch_status judge(const struct coordinator_model *model,
                                const struct model_move *move)
{
    const struct model_producer *producer = &model->producers[move->producer];
    if (move->producer >= model->producer_count)
        return FLETCH_OUT_OF_RANGE;
    if (!producer->is_open && !(producer->was_aborted && move->kind == MODEL_ABORT))
        return FLETCH_FAILED_PRECONDITION;
    if (move->kind == MODEL_BARRIER && (move->value == 0 || move->value < producer->named))
        return FLETCH_INVALID_ARGUMENT;
    if (move->kind == MODEL_ABORT_BARRIER && (model->barriers[move->value].state != MODEL_FLYING ||
                                              model->barriers[move->value].is_aborted))
        return FLETCH_NOT_FOUND;
    if (move->kind == MODEL_ADD_PRODUCER && model->producer_count == model->producer_limit)
        return model->is_fixed ? FLETCH_FAILED_PRECONDITION : FLETCH_RESOURCE_EXHAUSTED;
    return FLETCH_OK;
}

static void leave(struct coordinator_model *model, struct model_producer *producer, bool aborted,
                  struct model_log *log)
{
    if (!producer->is_open)
        return;
    producer->is_open = producer->counts = false;
    producer->was_aborted = aborted;
    if (aborted && !model->is_lost)
        model_note(log, MODEL_TOLD_LOST, producer - model->producers);
    model->is_lost |= aborted;
    tell_barriers(model, log);
    tell_watermark(model, log);
    if (open_count(model) == 0 && !model->is_lost)
        model_note(log, MODEL_TOLD_END, 0);
}

static void say_watermark(struct coordinator_model *model, struct model_producer *producer,
                          int64_t watermark)
{
    if (watermark < producer->watermark)
        model->clamped++;
    else
        producer->watermark = watermark;
    producer->counts = true;
    producer->word_ns = model->now_ns;
}

static void carry_out(struct coordinator_model *model, const struct model_move *move,
                      struct model_log *log)
{
    struct model_producer *producer = &model->producers[move->producer];
    switch (move->kind) {
    case MODEL_ABORT_BARRIER:
        model->barriers[move->value].is_aborted = true;
        break;
    case MODEL_WATERMARK:
        say_watermark(model, producer, move->value);
        break;
    case MODEL_IDLE:
        producer->counts = false;
        break;
    case MODEL_END:
    case MODEL_ABORT:
        leave(model, producer, move->kind == MODEL_ABORT, log);
        break;
    case MODEL_ADD_PRODUCER:
        producer->added_producer = model->producer_count;
        join(model);
        break;
    default:
        break;
    }
}

/* Those that wait, oldest first. */
static void serve(struct coordinator_model *model, struct model_log *log)
{
    for (uint32_t ticket = 1; ticket <= model->tickets; ticket++)
        for (uint32_t i = 0; i < model->producer_count; i++) {
            struct model_producer *producer = &model->producers[i];
            if (producer->waits_for == 0 || producer->ticket != ticket)
                continue;
            producer->is_answered = try_barrier(model, producer, producer->waits_for);
            if (producer->is_answered)
                producer->waits_for = 0;
            tell_barriers(model, log);
            if (producer->is_answered)
                pass_time(model, producer->waits_since_ns, log);
        }
}

static void pass(struct coordinator_model *model, uint32_t id, struct model_log *log)
{
    if (--model->barriers[id].unpassed != 0)
        return;
    model->barriers[id].state = MODEL_LANDED;
    serve(model, log);
}

static void ask(struct coordinator_model *model, const struct model_move *move,
                struct model_log *log)
{
    struct model_producer *producer = &model->producers[move->producer];
    producer->status = judge(model, move);
    producer->is_answered = true;
    if (producer->status != FLETCH_OK)
        return;
    if (move->kind == MODEL_BARRIER && !try_barrier(model, producer, move->value)) {
        producer->is_answered = false;
        producer->waits_for = producer->named = move->value;
        producer->waits_since_ns = model->now_ns;
        producer->ticket = ++model->tickets;
        tell_barriers(model, log);
        return;
    }
    carry_out(model, move, log);
    tell_barriers(model, log);
    pass_time(model, model->now_ns, log);
}

void coordinator_model_move(struct coordinator_model *model, const struct model_move *move,
                            struct model_log *log)
{
    switch (move->kind) {
    case MODEL_GIVE_UP:
        model->producers[move->producer].waits_for = 0;
        break;
    case MODEL_PASS:
        pass(model, move->value, log);
        break;
    case MODEL_TICK:
        pass_time(model, ++model->now_ns, log);
        break;
    case MODEL_LATER:
        model->now_ns++;
        break;
    default:
        ask(model, move, log);
    }
}
