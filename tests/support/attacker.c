#include "support/attacker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/allocator.h"
#include "base/clock.h"
#include "support/cmocka_tests.h"

enum { READ_BYTES = 64 << 10, SECONDS_MOST = 20 };

#define MS_NS UINT64_C(1000000)

static void start(struct attacker *attacker)
{
    *attacker = (struct attacker){.fd = -1, .listening = -1};
    wire_init(&attacker->out);
    wire_init(&attacker->in);
}

static void greet(struct attacker *attacker, bool is_client)
{
    const struct fletch_http2_head ack = {.type = FLETCH_HTTP2_SETTINGS, .flags = FLETCH_HTTP2_ACK};
    if (is_client)
        wire_preface(&attacker->out);
    wire_settings(&attacker->out, 0, 0);
    wire_frame(&attacker->out, ack, NULL);
}

void attacker_connect(struct attacker *attacker, struct rpc_scene *scene, bool is_mute)
{
    const struct fletch_socket_address *address = fletch_rpc_server_address(scene->server);
    start(attacker);
    attacker->fd = socket(address->as.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(attacker->fd >= 0);
    assert_int_equal(connect(attacker->fd, &address->as.any, address->bytes), 0);
    if (!is_mute)
        greet(attacker, true);
}

void attacker_listen(struct attacker *attacker, struct fletch_socket_address *out_address)
{
    struct fletch_socket_listening listening = {.io = &fletch_net_system_io, .backlog = 8};
    start(attacker);
    assert_ok(fletch_socket_address_parse("127.0.0.1:0", &listening.address, NULL));
    assert_ok(fletch_socket_listen(&listening, &attacker->listening, out_address, NULL));
}

void attacker_accept(struct attacker *attacker, struct rpc_scene *scene, bool is_mute)
{
    uint64_t end_ns = fletch_clock_now_ns() + SECONDS_MOST * 1000 * MS_NS;
    while ((attacker->fd = accept(attacker->listening, NULL, NULL)) < 0) {
        assert_true(fletch_clock_now_ns() < end_ns);
        (void)fletch_event_loop_turn(scene->loop, MS_NS);
    }
    if (!is_mute)
        greet(attacker, false);
}

static void hear(struct attacker *attacker)
{
    uint8_t bytes[READ_BYTES];
    for (;;) {
        ssize_t got = recv(attacker->fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (got < 0 && errno == EAGAIN)
            return;
        if (got <= 0) {
            attacker->is_cut = true;
            return;
        }
        attacker->bytes_read += (uint64_t)got;
        if (attacker->in.count + (size_t)got <= WIRE_BYTES_MOST)
            wire_put(&attacker->in, bytes, (size_t)got);
    }
}

void attacker_pump(struct attacker *attacker)
{
    while (attacker->out_sent < attacker->out.count) {
        ssize_t sent = send(attacker->fd, attacker->out.bytes + attacker->out_sent,
                            attacker->out.count - attacker->out_sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN)
            attacker->is_cut = attacker->is_deaf; /* else when all that was said is read */
        if (sent < 0)
            break;
        attacker->out_sent += (size_t)sent;
        attacker->bytes_sent += (uint64_t)sent;
    }
    if (attacker->out_sent == attacker->out.count)
        attacker->out_sent = attacker->out.count = 0;
    if (!attacker->is_deaf)
        hear(attacker);
}

void attacker_flush(struct attacker *attacker, struct rpc_scene *scene)
{
    uint64_t end_ns = fletch_clock_now_ns() + SECONDS_MOST * 1000 * MS_NS;
    attacker_pump(attacker);
    while (attacker->out.count != 0 && !attacker->is_cut) {
        assert_true(fletch_clock_now_ns() < end_ns);
        (void)fletch_event_loop_turn(scene->loop, MS_NS);
        attacker_pump(attacker);
    }
    (void)fletch_event_loop_turn(scene->loop, 0);
    attacker_pump(attacker);
}

void attacker_until_cut(struct attacker *attacker, struct rpc_scene *scene)
{
    uint64_t end_ns = fletch_clock_now_ns() + SECONDS_MOST * 1000 * MS_NS;
    while (!attacker->is_cut) {
        if (fletch_clock_now_ns() >= end_ns)
            fail_msg("still connected after %d s", SECONDS_MOST);
        (void)fletch_event_loop_turn(scene->loop, MS_NS);
        attacker_pump(attacker);
    }
}

void attacker_leave(struct attacker *attacker)
{
    close(attacker->fd);
    attacker->fd = -1;
}

void attacker_end(struct attacker *attacker)
{
    if (attacker->fd >= 0)
        close(attacker->fd);
    if (attacker->listening >= 0)
        close(attacker->listening);
    wire_deinit(&attacker->out);
    wire_deinit(&attacker->in);
}

uint32_t attacker_told_code(const struct attacker *attacker)
{
    struct fletch_http2_head head;
    const uint8_t *payload;
    return wire_find(&attacker->in, FLETCH_HTTP2_GOAWAY, 0, &head, &payload)
               ? fletch_http2_read_u32(payload + 4)
               : UINT32_MAX;
}

/* ---- memory ---- */

static void *meter_allocate(void *context, size_t bytes, size_t alignment)
{
    struct memory_meter *meter = context;
    const struct fletch_allocator plain = fletch_allocator_or_default(NULL);
    void *memory = fletch_allocate(&plain, bytes, alignment);
    if (memory != NULL)
        meter->live_bytes += bytes;
    if (meter->live_bytes > meter->peak_bytes)
        meter->peak_bytes = meter->live_bytes;
    return memory;
}

static void meter_release(void *context, void *memory, size_t bytes, size_t alignment)
{
    struct memory_meter *meter = context;
    const struct fletch_allocator plain = fletch_allocator_or_default(NULL);
    meter->live_bytes -= bytes;
    fletch_release(&plain, memory, bytes, alignment);
}

void memory_meter_start(struct memory_meter *meter)
{
    *meter = (struct memory_meter){
        .allocator = {.allocate = meter_allocate, .release = meter_release, .context = meter}};
}
