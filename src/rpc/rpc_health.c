#include "rpc/rpc_health.h"

#include <string.h>

#include "base/allocator.h"
#include "base/status.h"
#include "http2/http2_link.h"

struct service {
    struct fletch_http2_link all; /* first */
    enum fletch_rpc_serving serving;
    char name[FLETCH_RPC_SERVICE_BYTES];
};

/* A call of Watch. */
struct watcher {
    struct fletch_http2_link all;
    struct fletch_rpc_health *health;
    struct fletch_rpc_call *call;
    bool is_behind; /* too much was queued to tell it */
    char service[FLETCH_RPC_SERVICE_BYTES];
};

enum { METHODS = 2 };

struct fletch_rpc_health {
    struct fletch_allocator allocator;
    struct fletch_http2_link services;
    struct fletch_http2_link watchers;
    bool is_shut_down;
    struct fletch_rpc_method methods[METHODS];
};

/* ---- messages ---- */

enum { WIRE_VARINT, WIRE_8_BYTES, WIRE_BYTES, WIRE_4_BYTES = 5, VARINT_BYTES = 10 };

struct reading {
    const uint8_t *at;
    size_t left;
};

static bool read_varint(struct reading *from, uint64_t *out_value)
{
    uint64_t value = 0;
    for (uint32_t i = 0; i < VARINT_BYTES && i < from->left; i++) {
        value |= (uint64_t)(from->at[i] & 0x7f) << (7 * i);
        if ((from->at[i] & 0x80) != 0)
            continue;
        from->at += i + 1;
        from->left -= i + 1;
        *out_value = value;
        return true;
    }
    return false;
}

/* Behind a field's tag: where its bytes are, and past them. A varint has none. */
static bool read_field(struct reading *from, uint64_t wire, struct reading *out_bytes)
{
    uint64_t bytes = wire == WIRE_8_BYTES ? 8 : wire == WIRE_4_BYTES ? 4 : 0;
    uint64_t value;
    bool is_known = wire <= WIRE_BYTES || wire == WIRE_4_BYTES;
    if (!is_known || (wire == WIRE_VARINT && !read_varint(from, &value)))
        return false;
    if (wire == WIRE_BYTES && !read_varint(from, &bytes))
        return false;
    if (bytes > from->left)
        return false;
    *out_bytes = (struct reading){from->at, (size_t)bytes};
    from->at += bytes;
    from->left -= (size_t)bytes;
    return true;
}

/* HealthCheckRequest { string service = 1; }: the last one counts, others are passed over. False:
 * malformed. A name that is longer than any service's is cut, but not to a service's. */
static bool read_request(const uint8_t *data, size_t bytes,
                         char out_service[FLETCH_RPC_SERVICE_BYTES])
{
    struct reading from = {data, bytes};
    out_service[0] = 0;
    while (from.left != 0) {
        struct reading name;
        uint64_t tag;
        if (!read_varint(&from, &tag) || !read_field(&from, tag & 7, &name))
            return false;
        if (tag >> 3 == 0)
            return false;
        if (tag != (1 << 3 | WIRE_BYTES))
            continue;
        if (memchr(name.at, 0, name.left) != NULL)
            return false;
        if (name.left >= FLETCH_RPC_SERVICE_BYTES)
            name.left = FLETCH_RPC_SERVICE_BYTES - 1;
        memcpy(out_service, name.at, name.left);
        out_service[name.left] = 0;
    }
    return true;
}

/* HealthCheckResponse { ServingStatus status = 1; } */
static enum fletch_status send_response(struct fletch_rpc_call *call,
                                        enum fletch_rpc_serving serving)
{
    const uint8_t response[] = {1 << 3 | WIRE_VARINT, (uint8_t)serving};
    return fletch_rpc_call_send_copy(call, response, sizeof response, NULL);
}

/* ---- services ---- */

static struct service *find(const struct fletch_rpc_health *health, const char *name)
{
    struct fletch_http2_link *link = health->services.next;
    for (; link != &health->services; link = link->next) {
        struct service *service = FLETCH_HTTP2_OF_LINK(link, struct service, all);
        if (strcmp(service->name, name) == 0)
            return service;
    }
    return NULL;
}

static enum fletch_rpc_serving serving_of(const struct fletch_rpc_health *health, const char *name)
{
    const struct service *service = find(health, name);
    if (service == NULL)
        return FLETCH_RPC_SERVICE_UNKNOWN;
    return health->is_shut_down ? FLETCH_RPC_NOT_SERVING : service->serving;
}

static void finish(struct fletch_rpc_call *call, enum fletch_status status, const char *text)
{
    const struct fletch_grpc_ending ending = {.status = status, .text = text};
    (void)fletch_rpc_call_finish(call, &ending, NULL);
}

/* ---- Check ---- */

static void check(void *context, struct fletch_rpc_call *call, struct fletch_buffer *buffer,
                  size_t bytes)
{
    const struct fletch_rpc_health *health = context;
    char service[FLETCH_RPC_SERVICE_BYTES];
    bool is_read = read_request(bytes == 0 ? NULL : fletch_buffer_data(buffer), bytes, service);
    fletch_buffer_release(NULL, buffer);
    if (!is_read) {
        finish(call, FLETCH_INVALID_ARGUMENT, "the message is no HealthCheckRequest");
        return;
    }
    enum fletch_rpc_serving serving = serving_of(health, service);
    if (serving == FLETCH_RPC_SERVICE_UNKNOWN)
        finish(call, FLETCH_NOT_FOUND, "no such service");
    else if (send_response(call, serving) != FLETCH_OK)
        finish(call, FLETCH_RESOURCE_EXHAUSTED, "no memory for the answer");
    else
        finish(call, FLETCH_OK, NULL);
}

static void lacks_request(void *context, struct fletch_rpc_call *call)
{
    (void)context;
    finish(call, FLETCH_INVALID_ARGUMENT, "a HealthCheckRequest was expected");
}

static void check_ended(void *context, struct fletch_rpc_call *call,
                        const struct fletch_rpc_end *end)
{
    (void)context;
    (void)call;
    (void)end;
}

static const struct fletch_rpc_handler check_handler = {
    .message = check, .half_closed = lacks_request, .ended = check_ended};

/* ---- Watch ---- */

static void forget(struct watcher *watcher)
{
    struct fletch_allocator allocator = watcher->health->allocator;
    fletch_http2_link_remove(&watcher->all);
    fletch_release(&allocator, watcher, sizeof *watcher, _Alignof(struct watcher));
}

static void tell(struct watcher *watcher)
{
    enum fletch_rpc_serving serving = serving_of(watcher->health, watcher->service);
    watcher->is_behind = send_response(watcher->call, serving) != FLETCH_OK;
}

static bool is_watching(const struct watcher *watcher)
{
    return !fletch_http2_link_is_alone(&watcher->all);
}

static void end_watch(struct watcher *watcher, enum fletch_status status, const char *text)
{
    struct fletch_rpc_call *call = watcher->call;
    forget(watcher);
    finish(call, status, text);
}

static void begin_watch(void *context, struct fletch_rpc_call *call,
                        const struct fletch_rpc_request *request)
{
    struct fletch_rpc_health *health = context;
    struct watcher *watcher =
        fletch_allocate(&health->allocator, sizeof *watcher, _Alignof(struct watcher));
    (void)request;
    if (watcher == NULL) {
        finish(call, FLETCH_RESOURCE_EXHAUSTED, "no memory for a watch");
        return;
    }
    *watcher = (struct watcher){.health = health, .call = call};
    fletch_http2_link_init(&watcher->all);
    fletch_rpc_call_set_context(call, watcher);
}

static void watch(void *context, struct fletch_rpc_call *call, struct fletch_buffer *buffer,
                  size_t bytes)
{
    struct watcher *watcher = context;
    struct fletch_rpc_health *health = watcher->health;
    bool is_read =
        !is_watching(watcher) &&
        read_request(bytes == 0 ? NULL : fletch_buffer_data(buffer), bytes, watcher->service);
    fletch_buffer_release(NULL, buffer);
    if (!is_read) {
        end_watch(watcher, FLETCH_INVALID_ARGUMENT, "one HealthCheckRequest was expected");
        return;
    }
    fletch_rpc_call_take(call);
    fletch_http2_link_append(&health->watchers, &watcher->all);
    tell(watcher);
    if (health->is_shut_down)
        end_watch(watcher, FLETCH_UNAVAILABLE, "the server is shutting down");
}

static void watch_half_closed(void *context, struct fletch_rpc_call *call)
{
    struct watcher *watcher = context;
    (void)call;
    if (!is_watching(watcher))
        end_watch(watcher, FLETCH_INVALID_ARGUMENT, "a HealthCheckRequest was expected");
}

static void watch_writable(void *context, struct fletch_rpc_call *call)
{
    struct watcher *watcher = context;
    (void)call;
    if (watcher->is_behind)
        tell(watcher);
}

static void watch_ended(void *context, struct fletch_rpc_call *call,
                        const struct fletch_rpc_end *end)
{
    (void)call;
    (void)end;
    forget(context);
}

static const struct fletch_rpc_handler watch_handler = {
    .message = watch,
    .half_closed = watch_half_closed,
    .writable = watch_writable,
    .ended = watch_ended,
};

/* ---- the user's ---- */

enum fletch_status fletch_rpc_health_create(const struct fletch_allocator *allocator,
                                            struct fletch_rpc_health **out_health,
                                            struct fletch_error *error)
{
    struct fletch_rpc_health *health = fletch_block_allocate(allocator, sizeof *health);
    if (health == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for a health service of %zu bytes", sizeof *health);
    *health = (struct fletch_rpc_health){
        .allocator = fletch_allocator_or_default(allocator),
        .methods = {{.path = "/grpc.health.v1.Health/Check",
                     .handler = &check_handler,
                     .context = health},
                    {.path = "/grpc.health.v1.Health/Watch",
                     .begin = begin_watch,
                     .handler = &watch_handler,
                     .context = health}},
    };
    fletch_http2_link_init(&health->services);
    fletch_http2_link_init(&health->watchers);
    enum fletch_status status = fletch_rpc_health_set(health, "", FLETCH_RPC_SERVING, error);
    if (status != FLETCH_OK) {
        fletch_block_release(health);
        return status;
    }
    *out_health = health;
    return FLETCH_OK;
}

void fletch_rpc_health_destroy(struct fletch_rpc_health *health)
{
    if (health == NULL)
        return;
    while (!fletch_http2_link_is_alone(&health->services)) {
        struct service *service = FLETCH_HTTP2_OF_LINK(health->services.next, struct service, all);
        fletch_http2_link_remove(&service->all);
        fletch_release(&health->allocator, service, sizeof *service, _Alignof(struct service));
    }
    fletch_block_release(health);
}

/* NULL: no memory. */
static struct service *add(struct fletch_rpc_health *health, const char *name, size_t bytes)
{
    struct service *service =
        fletch_allocate(&health->allocator, sizeof *service, _Alignof(struct service));
    if (service == NULL)
        return NULL;
    memcpy(service->name, name, bytes + 1);
    fletch_http2_link_init(&service->all);
    fletch_http2_link_append(&health->services, &service->all);
    return service;
}

enum fletch_status fletch_rpc_health_set(struct fletch_rpc_health *health, const char *service,
                                         enum fletch_rpc_serving serving,
                                         struct fletch_error *error)
{
    size_t bytes = strlen(service);
    /* The last byte tells names that were cut from all others. */
    if (bytes >= FLETCH_RPC_SERVICE_BYTES - 1)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "a service's name of %zu bytes, at most %d", bytes,
                                FLETCH_RPC_SERVICE_BYTES - 2);
    struct service *known = find(health, service);
    if (known == NULL)
        known = add(health, service, bytes);
    if (known == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for the health of service '%s'", service);
    known->serving = serving;
    struct fletch_http2_link *link = health->watchers.next;
    for (; link != &health->watchers; link = link->next) {
        struct watcher *watcher = FLETCH_HTTP2_OF_LINK(link, struct watcher, all);
        if (strcmp(watcher->service, service) == 0)
            tell(watcher);
    }
    return FLETCH_OK;
}

void fletch_rpc_health_shutdown(struct fletch_rpc_health *health)
{
    health->is_shut_down = true;
    while (!fletch_http2_link_is_alone(&health->watchers)) {
        struct watcher *watcher = FLETCH_HTTP2_OF_LINK(health->watchers.next, struct watcher, all);
        tell(watcher);
        end_watch(watcher, FLETCH_UNAVAILABLE, "the server is shutting down");
    }
}

const struct fletch_rpc_method *fletch_rpc_health_method(const struct fletch_rpc_health *health,
                                                         const char *path)
{
    for (size_t i = 0; i < METHODS; i++)
        if (strcmp(health->methods[i].path, path) == 0)
            return &health->methods[i];
    return NULL;
}
