#include "service_run.h"

#define SECOND_NS UINT64_C(1000000000)

enum outcome service_begin(struct service_run *run, const struct command_usage *usage,
                           const char *location, uint64_t seconds)
{
    struct fletch_error error;
    *run = (struct service_run){.usage = usage, .location = location};
    if (seconds > UINT32_MAX)
        return options_refuse(usage, "--timeout is %llu, at most %u", (unsigned long long)seconds,
                              UINT32_MAX);
    run->timeout_ns = seconds * SECOND_NS;
    if (fletch_transport_create(NULL, NULL, &run->transport, &error) != FLETCH_OK)
        return outcome_tell_error(NULL, &error);
    if (fletch_shuffle_client_create(run->transport, NULL, &run->client, &error) != FLETCH_OK)
        return outcome_tell_error(NULL, &error);
    return OUTCOME_DONE;
}

void service_end(struct service_run *run)
{
    struct fletch_error error;
    fletch_shuffle_client_destroy(run->client);
    if (fletch_transport_destroy(run->transport, &error) != FLETCH_OK)
        outcome_tell_error(NULL, &error);
}

enum outcome service_tell(const struct service_run *run, const struct fletch_error *error)
{
    return outcome_tell_peer(run->location, error);
}

enum outcome service_parse_name(const struct command_usage *usage, const char *word,
                                struct text *bytes)
{
    if (!text_bytes_parse(bytes, word))
        return options_refuse(usage, "SHUFFLE is '%s', expected pairs of digits behind 0x", word);
    if (bytes->failed)
        return outcome_tell(OUTCOME_SYSTEM, "no memory for the name of a shuffle");
    if (bytes->size == 0 || bytes->size > FLETCH_SHUFFLE_NAME_BYTES_MAX)
        return options_refuse(usage, "SHUFFLE has %zu bytes, expected 1 to %u", bytes->size,
                              FLETCH_SHUFFLE_NAME_BYTES_MAX);
    return OUTCOME_DONE;
}

struct fletch_shuffle_address service_address(const struct service_run *run,
                                              const struct text *bytes)
{
    return (struct fletch_shuffle_address){.location = run->location,
                                           .name = {bytes->bytes, bytes->size}};
}

enum fletch_status service_report(const struct service_run *run, const struct text *bytes,
                                  struct fletch_shuffle_reports *out_reports,
                                  struct fletch_error *error)
{
    const struct fletch_shuffle_address address = service_address(run, bytes);
    return fletch_shuffle_client_report(run->client, &address, run->timeout_ns, out_reports, error);
}
