#include "shuffle/writer_control.h"

bool fletch_writer_await(struct fletch_shuffle_writer *writer,
                         struct fletch_control_operation *operation,
                         bool (*is_so)(struct fletch_control_operation *operation),
                         uint64_t deadline_ns)
{
    struct fletch_eventcount *sleeper = writer->seat->sleeper;
    while (!is_so(operation)) {
        uint64_t left_ns = fletch_transport_remaining_ns(writer->shuffle->transport, deadline_ns);
        uint32_t key = fletch_eventcount_prepare(sleeper);
        bool is_over = left_ns == 0 || (deadline_ns != FLETCH_NO_DEADLINE &&
                                        fletch_shuffle_is_cancelled(writer->shuffle));
        if (is_so(operation) || is_over)
            fletch_eventcount_cancel(sleeper);
        else
            fletch_eventcount_wait(sleeper, key, left_ns);
        if (is_over)
            return is_so(operation);
    }
    return true;
}

struct fletch_control_operation *fletch_writer_prepare(struct fletch_shuffle_writer *writer,
                                                       enum fletch_seat_operation which,
                                                       enum fletch_control_kind kind)
{
    struct fletch_control_operation *operation = &writer->seat->operations[which];
    fletch_writer_await(writer, operation, fletch_control_is_free, FLETCH_NO_DEADLINE);
    operation->kind = kind;
    operation->producer = writer->producer;
    operation->now_ns = fletch_shuffle_now_ns(writer->shuffle);
    return operation;
}

enum fletch_status fletch_writer_ask_for(struct fletch_shuffle_writer *writer,
                                         struct fletch_control_operation *operation,
                                         struct fletch_error *error)
{
    fletch_control_submit(operation);
    fletch_writer_await(writer, operation, fletch_control_is_done, FLETCH_NO_DEADLINE);
    if (operation->status != FLETCH_OK && error != NULL)
        *error = operation->error;
    return operation->status;
}
