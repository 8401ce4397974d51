#include "pump/pump_greeting.h"

#include <string.h>

#include "base/status.h"
#include "partition/partitioner.h"
#include "shuffle/shuffle.h"

static struct fletch_envelope_text method_of(const struct fletch_shuffle *shuffle)
{
    const char *name = fletch_partition_method_name(shuffle->specification.partitioner.method);
    return (struct fletch_envelope_text){name, (uint32_t)strlen(name)};
}

static uint64_t fingerprint_of(const struct fletch_shuffle *shuffle)
{
    return fletch_schema_fingerprint(shuffle->specification.schema, FLETCH_COMPARE_FIELDS).low;
}

/* What a receiver takes without an offer. */
static uint64_t eager_bytes_of(const struct fletch_pump_session *session)
{
    return session->role == FLETCH_ROLE_RECEIVER ? session->rules->eager_bytes : 0;
}

void fletch_greeting_hello(const struct fletch_pump_session *session,
                           struct fletch_envelope *out_envelope)
{
    const struct fletch_shuffle_specification *known = &session->shuffle->specification;
    out_envelope->kind = FLETCH_ENVELOPE_HELLO;
    out_envelope->hello = (struct fletch_envelope_hello){
        .version_low = FLETCH_ENVELOPE_VERSION,
        .version_high = FLETCH_ENVELOPE_VERSION,
        .role = (uint8_t)session->role,
        .sums = (uint8_t)known->sums,
        .features = FLETCH_FEATURES_KNOWN,
        .session = session->number,
        .resumes = session->resumes,
        .epoch = known->identity.epoch,
        .partition_count = known->partitioner.partition_count,
        .producer_limit = known->producer_limit,
        .schema_fingerprint = fingerprint_of(session->shuffle),
        .eager_bytes = eager_bytes_of(session),
        .incarnation = session->rules->incarnation,
        .expected = session->peer,
        .name = {known->name, (uint32_t)known->name_bytes},
        .method = method_of(session->shuffle),
    };
    memcpy(out_envelope->hello.id.bytes, known->identity.id, FLETCH_ID_BYTES);
}

void fletch_greeting_welcome(const struct fletch_pump_session *session,
                             const struct fletch_envelope_hello *hello,
                             struct fletch_envelope *out_envelope)
{
    bool is_eager = (hello->features & FLETCH_FEATURE_EAGER) != 0;
    out_envelope->kind = FLETCH_ENVELOPE_WELCOME;
    out_envelope->welcome =
        (struct fletch_envelope_welcome){.version = FLETCH_ENVELOPE_VERSION,
                                         .features = hello->features & FLETCH_FEATURES_KNOWN,
                                         .eager_bytes = is_eager ? eager_bytes_of(session) : 0,
                                         .incarnation = session->rules->incarnation};
}

enum fletch_status fletch_greeting_check_peer(const struct fletch_session_rules *rules,
                                              const struct fletch_envelope_hello *hello,
                                              struct fletch_error *error)
{
    uint32_t unknown = hello->mandatory & ~(uint32_t)FLETCH_FEATURES_KNOWN;
    if (hello->version_low > FLETCH_ENVELOPE_VERSION ||
        hello->version_high < FLETCH_ENVELOPE_VERSION)
        return fletch_error_set(
            error, FLETCH_UNIMPLEMENTED, "VERSION: %u to %u are offered, and %d is spoken here",
            (unsigned)hello->version_low, (unsigned)hello->version_high, FLETCH_ENVELOPE_VERSION);
    if (unknown != 0)
        return fletch_error_set(error, FLETCH_UNIMPLEMENTED,
                                "FEATURE: %s is mandatory, and not known here",
                                fletch_feature_name(unknown).text);
    if (!fletch_id_is_zero(&hello->expected) &&
        !fletch_id_equal(&hello->expected, &rules->incarnation))
        return fletch_error_set(
            error, FLETCH_UNAVAILABLE, "LOST: server incarnation %s was expected, and this is %s",
            fletch_id_text(&hello->expected).text, fletch_id_text(&rules->incarnation).text);
    return FLETCH_OK;
}

/* Two numbers that must agree. */
static enum fletch_status agree(const char *what, uint64_t theirs, uint64_t ours,
                                struct fletch_error *error)
{
    if (theirs == ours)
        return FLETCH_OK;
    return fletch_error_set(error, FLETCH_FAILED_PRECONDITION, "%s is %llu there, and %llu here",
                            what, (unsigned long long)theirs, (unsigned long long)ours);
}

enum fletch_status fletch_greeting_check_shuffle(const struct fletch_shuffle *shuffle,
                                                 const struct fletch_envelope_hello *hello,
                                                 struct fletch_error *error)
{
    const struct fletch_shuffle_specification *known = &shuffle->specification;
    struct fletch_envelope_text method = method_of(shuffle);
    struct fletch_id id;
    memcpy(id.bytes, known->identity.id, FLETCH_ID_BYTES);
    if (!fletch_id_equal(&id, &hello->id))
        return fletch_error_set(
            error, FLETCH_FAILED_PRECONDITION, "ID: shuffle '%s' has the id %s there, and %s here",
            known->shown.text, fletch_id_text(&hello->id).text, fletch_id_text(&id).text);
    if (method.byte_count != hello->method.byte_count ||
        memcmp(method.bytes, hello->method.bytes, method.byte_count) != 0)
        return fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                                "METHOD is '%.*s' there, and '%s' here",
                                (int)hello->method.byte_count, hello->method.bytes, method.bytes);
    enum fletch_status status = agree("EPOCH", hello->epoch, known->identity.epoch, error);
    if (status == FLETCH_OK)
        status =
            agree("PARTITIONS", hello->partition_count, known->partitioner.partition_count, error);
    if (status == FLETCH_OK)
        status = agree("PRODUCERS", hello->producer_limit, known->producer_limit, error);
    if (status == FLETCH_OK)
        status = agree("SUMS", hello->sums, known->sums, error);
    if (status == FLETCH_OK && hello->schema_fingerprint != 0 &&
        hello->schema_fingerprint != fingerprint_of(shuffle))
        status = fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                                  "SCHEMA: its fingerprint is %016llx there, and %016llx here",
                                  (unsigned long long)hello->schema_fingerprint,
                                  (unsigned long long)fingerprint_of(shuffle));
    return status;
}

enum fletch_status fletch_greeting_check_welcome(const struct fletch_pump_session *session,
                                                 const struct fletch_envelope_welcome *welcome,
                                                 struct fletch_error *error)
{
    if (welcome->version != FLETCH_ENVELOPE_VERSION ||
        (welcome->features & ~(uint32_t)FLETCH_FEATURES_KNOWN) != 0)
        return fletch_error_set(error, FLETCH_UNIMPLEMENTED,
                                "WELCOME of version %u with features 0x%x, which were not offered",
                                (unsigned)welcome->version, (unsigned)welcome->features);
    if (fletch_id_is_zero(&session->peer) || fletch_id_equal(&session->peer, &welcome->incarnation))
        return FLETCH_OK;
    return fletch_error_set(error, FLETCH_UNAVAILABLE,
                            "LOST: server incarnation %s was expected at '%s', and found %s",
                            fletch_id_text(&session->peer).text, session->address,
                            fletch_id_text(&welcome->incarnation).text);
}
