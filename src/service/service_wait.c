#include "service/service_wait.h"

#include <sys/epoll.h>

/* A loop's own call, as the stream's would be; the wait may be gone when it returns. */
static void go_on(void *context)
{
    struct fletch_service_wait *wait = context;
    struct fletch_flight_stream *stream = wait->stream;
    if (stream->options.happened != NULL)
        stream->options.happened(stream->options.context);
}

static void ready(void *context, uint32_t events)
{
    (void)events;
    go_on(context);
}

void fletch_service_wait_start(struct fletch_service_wait *wait,
                               struct fletch_flight_stream *stream)
{
    *wait = (struct fletch_service_wait){.stream = stream,
                                         .watched = {.fd = -1, .ready = ready, .context = wait}};
    fletch_timer_start(&wait->timer, go_on, wait);
}

enum fletch_status fletch_service_wait_watch(struct fletch_service_wait *wait, int fd,
                                             struct fletch_error *error)
{
    wait->watched.fd = fd;
    enum fletch_status status =
        fletch_event_loop_watch(wait->stream->options.loop, &wait->watched, EPOLLIN, error);
    wait->is_watching = status == FLETCH_OK;
    return status;
}

void fletch_service_wait_until(struct fletch_service_wait *wait, uint64_t deadline_ns)
{
    fletch_timer_wheel_set(fletch_event_loop_wheel(wait->stream->options.loop), &wait->timer,
                           deadline_ns);
}

void fletch_service_wait_end(struct fletch_service_wait *wait)
{
    struct fletch_event_loop *loop = wait->stream->options.loop;
    fletch_timer_wheel_clear(fletch_event_loop_wheel(loop), &wait->timer);
    if (wait->is_watching)
        fletch_event_loop_unwatch(loop, &wait->watched);
}
