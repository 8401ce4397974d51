#include "grpc_end.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>

#define SOURCE_BYTES ((size_t)64 << 20)
enum { BLOCK_BYTES = 1024, ORDER_BYTES = 128, CALLS_MOST = 100000 };

void grpc_end_begin(void)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
}

void grpc_end_say_port(unsigned port)
{
    (void)printf("%u\n", port);
}

/* ---- messages ---- */

const void *grpc_end_source(uint64_t index, size_t bytes)
{
    static char *source;
    if (source == NULL) {
        source =
            mmap(NULL, SOURCE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (source == MAP_FAILED) {
            perror("memory of messages");
            exit(1);
        }
        memset(source, 7, SOURCE_BYTES);
        for (uint64_t i = 0; i < SOURCE_BYTES / BLOCK_BYTES; i++)
            memcpy(source + i * BLOCK_BYTES, &i, sizeof i);
    }
    return source + index * bytes % SOURCE_BYTES;
}

static bool blocks_are_right(const void *first, const void *last, size_t bytes, uint64_t index)
{
    uint64_t block = index * bytes % SOURCE_BYTES / BLOCK_BYTES;
    uint64_t words[2];
    memcpy(&words[0], first, sizeof words[0]);
    memcpy(&words[1], last, sizeof words[1]);
    return words[0] == block && words[1] == block + bytes / BLOCK_BYTES - 1;
}

bool grpc_end_is_right(const void *message, size_t bytes, uint64_t index)
{
    return blocks_are_right(message, (const char *)message + bytes - BLOCK_BYTES, bytes, index);
}

bool grpc_end_columns_are_right(const void *first, const void *last, size_t bytes, uint64_t index)
{
    const size_t column_bytes = bytes / GRPC_END_COLUMNS;
    if (column_bytes < BLOCK_BYTES)
        return blocks_are_right(first, first, BLOCK_BYTES, index * bytes / BLOCK_BYTES);
    return blocks_are_right(first, (const char *)last + column_bytes - BLOCK_BYTES, bytes, index);
}

/* ---- orders ---- */

static uint64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static int by_size(const void *left, const void *right)
{
    const uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

typedef bool stream_order(void *context, const struct grpc_end_down *wanted);

static bool time_stream(void *context, stream_order *carry_out, uint64_t bytes, uint64_t count)
{
    const struct grpc_end_down wanted = {bytes, count};
    const uint64_t start = now_ns();
    if (carry_out == NULL || bytes < BLOCK_BYTES || bytes % BLOCK_BYTES != 0 ||
        SOURCE_BYTES % bytes != 0 || !carry_out(context, &wanted))
        return false;
    (void)printf("%.9f\n", (double)(now_ns() - start) * 1e-9);
    return true;
}

static bool time_unary(const struct grpc_end_client *client, uint64_t bytes, uint64_t count)
{
    static uint64_t times[CALLS_MOST];
    if (bytes > GRPC_END_SMALL || count == 0 || count > CALLS_MOST)
        return false;
    for (uint64_t i = 0; i < count; i++) {
        const uint64_t start = now_ns();
        if (!client->unary(client->context, bytes))
            return false;
        times[i] = now_ns() - start;
    }
    qsort(times, count, sizeof times[0], by_size);
    (void)printf("%.3f %.3f\n", (double)times[count / 2] * 1e-3,
                 (double)times[count - 1 - count / 100] * 1e-3);
    return true;
}

static bool obey(const struct grpc_end_client *client, const char *order)
{
    char what[32];
    uint64_t first = 0, second = 0;
    if (sscanf(order, "%31s %" SCNu64 " %" SCNu64, what, &first, &second) < 1)
        return false;
    if (strcmp(what, "stream") == 0)
        return time_stream(client->context, client->stream, first, second);
    if (strcmp(what, "put") == 0)
        return time_stream(client->context, client->put, first, second);
    if (strcmp(what, "two") == 0)
        return time_stream(client->context, client->two, first, second);
    if (strcmp(what, "unary") == 0)
        return time_unary(client, first, second);
    if (strcmp(what, "connections") == 0 && client->connections != NULL)
        return printf("%zu\n", client->connections(client->context, first)) > 0;
    if (strcmp(what, "streams") == 0 && client->streams != NULL)
        return printf("%zu\n", client->streams(client->context, first)) > 0;
    if (strcmp(what, "again") == 0 && client->again != NULL)
        return printf("%zu\n", client->again(client->context)) > 0;
    return false;
}

int grpc_end_obey(const struct grpc_end_client *client)
{
    char order[ORDER_BYTES];
    while (fgets(order, sizeof order, stdin) != NULL) {
        if (!obey(client, order)) {
            (void)fprintf(stderr, "went wrong: %s", order);
            return 1;
        }
    }
    return 0;
}
