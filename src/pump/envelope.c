#include "pump/envelope.h"

#include <fletching/shuffle.h>

#include <stdio.h>
#include <string.h>

#include "base/little_endian.h"
#include "base/status.h"

static const char *const kind_names[] = {"?",      "HELLO",  "WELCOME",   "OFFER",
                                         "DATA",   "UPDATE", "GIVE_BACK", "CONTROL",
                                         "REFUSE", "BYE",    "WANT"};

enum { KINDS = sizeof kind_names / sizeof kind_names[0], STATUS_MOST = FLETCH_UNAUTHENTICATED };

const char *fletch_envelope_kind_name(unsigned kind)
{
    return kind < KINDS ? kind_names[kind] : "?";
}

struct fletch_feature_text fletch_feature_name(uint32_t features)
{
    static const char *const names[] = {"CRC32C", "EAGER"};
    struct fletch_feature_text text;
    uint32_t bit = 0;
    while (bit < 31 && (features >> bit & 1) == 0)
        bit++;
    if (bit < sizeof names / sizeof names[0])
        (void)snprintf(text.text, sizeof text.text, "%s", names[bit]);
    else
        (void)snprintf(text.text, sizeof text.text, "bit %u", (unsigned)bit);
    return text;
}

/* ---- identities ---- */

bool fletch_id_is_zero(const struct fletch_id *id)
{
    static const struct fletch_id zero;
    return fletch_id_equal(id, &zero);
}

bool fletch_id_equal(const struct fletch_id *a, const struct fletch_id *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

struct fletch_id_text fletch_id_text(const struct fletch_id *id)
{
    struct fletch_id_text text;
    for (size_t i = 0; i < FLETCH_ID_BYTES; i++)
        (void)snprintf(&text.text[2 * i], 3, "%02x", id->bytes[i]);
    return text;
}

struct fletch_envelope_text fletch_envelope_text(const char *string)
{
    struct fletch_envelope_text text = {string, 0};
    while (text.byte_count < FLETCH_ENVELOPE_TEXT_MAX && string[text.byte_count] != '\0')
        text.byte_count++;
    return text;
}

/* ---- writing ---- */

struct writer {
    uint8_t *next;
};

static void put(struct writer *writer, uint64_t number, size_t bytes)
{
    fletch_little_endian_write(writer->next, number, bytes);
    writer->next += bytes;
}

static void put_bytes(struct writer *writer, const void *bytes, size_t byte_count)
{
    if (byte_count != 0)
        memcpy(writer->next, bytes, byte_count);
    writer->next += byte_count;
}

static void put_text(struct writer *writer, const struct fletch_envelope_text *text)
{
    put(writer, text->byte_count, 2);
    put_bytes(writer, text->bytes, text->byte_count);
}

static void put_channel(struct writer *writer, const struct fletch_envelope_channel *channel)
{
    put(writer, channel->producer, 4);
    put(writer, channel->attempt, 4);
    put(writer, channel->partition, 4);
}

static void put_hello(struct writer *writer, const struct fletch_envelope_hello *hello)
{
    put(writer, hello->version_low, 1);
    put(writer, hello->version_high, 1);
    put(writer, hello->role, 1);
    put(writer, hello->sums, 1);
    put(writer, hello->features, 4);
    put(writer, hello->mandatory, 4);
    put(writer, hello->session, 4);
    put(writer, hello->resumes, 4);
    put(writer, hello->epoch, 4);
    put(writer, hello->partition_count, 4);
    put(writer, hello->producer_limit, 4);
    put(writer, hello->schema_fingerprint, 8);
    put(writer, hello->eager_bytes, 8);
    put_bytes(writer, hello->id.bytes, FLETCH_ID_BYTES);
    put_bytes(writer, hello->incarnation.bytes, FLETCH_ID_BYTES);
    put_bytes(writer, hello->expected.bytes, FLETCH_ID_BYTES);
    put_text(writer, &hello->name);
    put_text(writer, &hello->method);
}

static void put_welcome(struct writer *writer, const struct fletch_envelope_welcome *welcome)
{
    put(writer, welcome->version, 1);
    put(writer, 0, 3);
    put(writer, welcome->features, 4);
    put(writer, welcome->eager_bytes, 8);
    put_bytes(writer, welcome->incarnation.bytes, FLETCH_ID_BYTES);
}

static void put_offers(struct writer *writer, const struct fletch_envelope_offers *offers)
{
    put(writer, offers->count, 2);
    put(writer, 0, 2);
    for (uint32_t i = 0; i < offers->count; i++) {
        const struct fletch_envelope_offer *offer = &offers->offers[i];
        put_channel(writer, &offer->channel);
        put(writer, offer->sequence, 8);
        put(writer, offer->bytes, 8);
        put(writer, offer->barrier, 8);
    }
}

static void put_data(struct writer *writer, const struct fletch_envelope_data *data)
{
    put_channel(writer, &data->channel);
    put(writer, data->crc32c, 4);
    put(writer, data->sequence, 8);
    put(writer, data->offset, 8);
    put(writer, data->barrier, 8);
    put(writer, data->rows, 8);
    put(writer, data->bytes, 8);
    put(writer, data->key_sum, 8);
    put(writer, data->row_sum, 8);
}

static void put_update(struct writer *writer, const struct fletch_envelope_update *update)
{
    put(writer, update->is_complete ? 1 : 0, 1);
    put(writer, update->answer_count, 1);
    put(writer, update->mark_count, 2);
    for (uint32_t i = 0; i < update->mark_count; i++) {
        const struct fletch_envelope_mark *mark = &update->marks[i];
        put_channel(writer, &mark->channel);
        put(writer, mark->sequence, 8);
        put(writer, mark->offset, 8);
        put(writer, mark->grant, 8);
    }
    for (uint32_t i = 0; i < update->answer_count; i++) {
        const struct fletch_envelope_answer *answer = &update->answers[i];
        put(writer, answer->producer, 4);
        put(writer, answer->attempt, 4);
        put(writer, answer->sequence, 8);
        put(writer, answer->status, 4);
        put_text(writer, &answer->text);
    }
}

static void put_control(struct writer *writer, const struct fletch_envelope_control *control)
{
    put(writer, control->producer, 4);
    put(writer, control->attempt, 4);
    put(writer, control->sequence, 8);
    put(writer, control->kind, 1);
    put(writer, control->has_more ? 1 : 0, 1);
    put(writer, control->totals_count, 2);
    put(writer, control->barrier, 8);
    put(writer, (uint64_t)control->watermark, 8);
    put(writer, control->added_producer, 4);
    put_text(writer, &control->reason);
    for (uint32_t i = 0; i < control->totals_count; i++) {
        const struct fletch_channel_totals *totals = &control->totals[i].totals;
        put(writer, control->totals[i].partition, 4);
        put(writer, totals->frames, 8);
        put(writer, totals->rows, 8);
        put(writer, totals->bytes, 8);
        put(writer, totals->key_sum, 8);
        put(writer, totals->row_sum, 8);
    }
}

static void put_refuse(struct writer *writer, const struct fletch_envelope_refuse *refuse)
{
    put(writer, refuse->scope, 1);
    put(writer, refuse->status, 1);
    put(writer, 0, 2);
    put_channel(writer, &refuse->channel);
    put(writer, refuse->sequence, 8);
    put_text(writer, &refuse->text);
}

static void put_want(struct writer *writer, const struct fletch_envelope_want *want)
{
    put(writer, want->count, 2);
    put(writer, 0, 2);
    for (uint32_t i = 0; i < want->count; i++)
        put(writer, want->partitions[i], 4);
}

static void put_body(struct writer *writer, const struct fletch_envelope *envelope)
{
    switch (envelope->kind) {
    case FLETCH_ENVELOPE_HELLO:
        put_hello(writer, &envelope->hello);
        break;
    case FLETCH_ENVELOPE_WELCOME:
        put_welcome(writer, &envelope->welcome);
        break;
    case FLETCH_ENVELOPE_OFFER:
        put_offers(writer, &envelope->offers);
        break;
    case FLETCH_ENVELOPE_DATA:
        put_data(writer, &envelope->data);
        break;
    case FLETCH_ENVELOPE_UPDATE:
        put_update(writer, &envelope->update);
        break;
    case FLETCH_ENVELOPE_GIVE_BACK:
        put_channel(writer, &envelope->give_back.channel);
        put(writer, envelope->give_back.sequence, 8);
        break;
    case FLETCH_ENVELOPE_CONTROL:
        put_control(writer, &envelope->control);
        break;
    case FLETCH_ENVELOPE_REFUSE:
        put_refuse(writer, &envelope->refuse);
        break;
    case FLETCH_ENVELOPE_BYE:
        break;
    case FLETCH_ENVELOPE_WANT:
        put_want(writer, &envelope->want);
        break;
    }
}

size_t fletch_envelope_encode(const struct fletch_envelope *envelope, uint8_t *bytes)
{
    struct writer writer = {bytes};
    put(&writer, FLETCH_ENVELOPE_MAGIC, 2);
    put(&writer, FLETCH_ENVELOPE_VERSION, 1);
    put(&writer, envelope->kind, 1);
    put(&writer, 0, 4);
    put_body(&writer, envelope);
    return (size_t)(writer.next - bytes);
}

/* ---- reading ---- */

/* After the first thing that is wrong everything else reads as zero. */
struct reader {
    const uint8_t *bytes;
    size_t byte_count;
    size_t at;
    const char *wrong; /* NULL: nothing is */
    uint64_t found;
};

static void refuse(struct reader *reader, const char *wrong, uint64_t found)
{
    if (reader->wrong != NULL)
        return;
    reader->wrong = wrong;
    reader->found = found;
}

static const uint8_t *take_bytes(struct reader *reader, size_t byte_count)
{
    if (reader->wrong == NULL && byte_count > reader->byte_count - reader->at)
        refuse(reader, "it is cut off, bytes missing",
               byte_count - (reader->byte_count - reader->at));
    if (reader->wrong != NULL)
        return NULL;
    const uint8_t *bytes = reader->bytes + reader->at;
    reader->at += byte_count;
    return bytes;
}

static uint64_t take(struct reader *reader, size_t bytes)
{
    const uint8_t *from = take_bytes(reader, bytes);
    return from == NULL ? 0 : fletch_little_endian_read(from, bytes);
}

static uint8_t take8(struct reader *reader)
{
    return (uint8_t)take(reader, 1);
}

static uint32_t take32(struct reader *reader)
{
    return (uint32_t)take(reader, 4);
}

static uint64_t take64(struct reader *reader)
{
    return take(reader, 8);
}

/* A number that may not be larger; what is wrong otherwise is said in `wrong`. */
static uint32_t take_most(struct reader *reader, size_t bytes, uint32_t most, const char *wrong)
{
    uint64_t number = take(reader, bytes);
    if (number > most)
        refuse(reader, wrong, number);
    return number > most ? 0 : (uint32_t)number;
}

static void take_zeros(struct reader *reader, size_t bytes)
{
    uint64_t number = take(reader, bytes);
    if (number != 0)
        refuse(reader, "a reserved field is not zero", number);
}

static void take_id(struct reader *reader, struct fletch_id *out_id)
{
    const uint8_t *bytes = take_bytes(reader, FLETCH_ID_BYTES);
    if (bytes != NULL)
        memcpy(out_id->bytes, bytes, FLETCH_ID_BYTES);
}

static struct fletch_envelope_text take_text(struct reader *reader, uint32_t most)
{
    struct fletch_envelope_text text;
    text.byte_count = take_most(reader, 2, most, "a text is too long");
    text.bytes = (const char *)take_bytes(reader, text.byte_count);
    return text;
}

static struct fletch_envelope_channel take_channel(struct reader *reader)
{
    struct fletch_envelope_channel channel;
    channel.producer = take32(reader);
    channel.attempt = take32(reader);
    channel.partition = take32(reader);
    return channel;
}

static uint64_t take_sequence(struct reader *reader)
{
    uint64_t sequence = take64(reader);
    if (sequence == 0)
        refuse(reader, "a sequence is not above", 0);
    return sequence;
}

static void take_hello(struct reader *reader, struct fletch_envelope_hello *hello)
{
    hello->version_low = take8(reader);
    hello->version_high = take8(reader);
    hello->role = (uint8_t)take_most(reader, 1, FLETCH_ROLE_RECEIVER, "no such role");
    hello->sums = (uint8_t)take_most(reader, 1, FLETCH_SUMS_OFF, "no such level of sums");
    hello->features = take32(reader);
    hello->mandatory = take32(reader);
    hello->session = take32(reader);
    hello->resumes = take32(reader);
    hello->epoch = take32(reader);
    hello->partition_count = take32(reader);
    hello->producer_limit = take32(reader);
    hello->schema_fingerprint = take64(reader);
    hello->eager_bytes = take64(reader);
    take_id(reader, &hello->id);
    take_id(reader, &hello->incarnation);
    take_id(reader, &hello->expected);
    hello->name = take_text(reader, FLETCH_ENVELOPE_NAME_MAX);
    hello->method = take_text(reader, FLETCH_ENVELOPE_METHOD_MAX);
    if (hello->version_low > hello->version_high)
        refuse(reader, "the lowest version is above the highest", hello->version_low);
    if ((hello->mandatory & ~hello->features) != 0)
        refuse(reader, "features are mandatory that are not offered", hello->mandatory);
    if (hello->name.byte_count == 0)
        refuse(reader, "a name is empty", 0);
    if (fletch_id_is_zero(&hello->incarnation))
        refuse(reader, "an incarnation is all zeros", 0);
}

static void take_welcome(struct reader *reader, struct fletch_envelope_welcome *welcome)
{
    welcome->version = take8(reader);
    take_zeros(reader, 3);
    welcome->features = take32(reader);
    welcome->eager_bytes = take64(reader);
    take_id(reader, &welcome->incarnation);
    if (fletch_id_is_zero(&welcome->incarnation))
        refuse(reader, "an incarnation is all zeros", 0);
}

static void take_offers(struct reader *reader, struct fletch_envelope_offers *offers)
{
    offers->count = take_most(reader, 2, FLETCH_ENVELOPE_ENTRIES_MAX, "too many offers");
    take_zeros(reader, 2);
    for (uint32_t i = 0; i < offers->count && reader->wrong == NULL; i++) {
        struct fletch_envelope_offer *offer = &offers->offers[i];
        offer->channel = take_channel(reader);
        offer->sequence = take_sequence(reader);
        offer->bytes = take64(reader);
        offer->barrier = take64(reader);
    }
}

static void take_data(struct reader *reader, struct fletch_envelope_data *data)
{
    data->channel = take_channel(reader);
    data->crc32c = take32(reader);
    data->sequence = take_sequence(reader);
    data->offset = take64(reader);
    data->barrier = take64(reader);
    data->rows = take64(reader);
    data->bytes = take64(reader);
    data->key_sum = take64(reader);
    data->row_sum = take64(reader);
}

static void take_update(struct reader *reader, struct fletch_envelope_update *update)
{
    update->is_complete = take_most(reader, 1, 1, "an unknown mark of an update") == 1;
    update->answer_count = take_most(reader, 1, FLETCH_ENVELOPE_ANSWERS_MAX, "too many answers");
    update->mark_count = take_most(reader, 2, FLETCH_ENVELOPE_ENTRIES_MAX, "too many marks");
    for (uint32_t i = 0; i < update->mark_count && reader->wrong == NULL; i++) {
        struct fletch_envelope_mark *mark = &update->marks[i];
        mark->channel = take_channel(reader);
        mark->sequence = take64(reader);
        mark->offset = take64(reader);
        mark->grant = take64(reader);
        if (mark->grant < mark->offset)
            refuse(reader, "a grant is below what was accepted", mark->grant);
    }
    for (uint32_t i = 0; i < update->answer_count && reader->wrong == NULL; i++) {
        struct fletch_envelope_answer *answer = &update->answers[i];
        answer->producer = take32(reader);
        answer->attempt = take32(reader);
        answer->sequence = take_sequence(reader);
        answer->status = take_most(reader, 4, STATUS_MOST, "no such status");
        answer->text = take_text(reader, FLETCH_ENVELOPE_TEXT_MAX);
    }
}

static void take_control(struct reader *reader, struct fletch_envelope_control *control)
{
    control->producer = take32(reader);
    control->attempt = take32(reader);
    control->sequence = take_sequence(reader);
    control->kind = (uint8_t)take_most(reader, 1, FLETCH_CONTROL_ADD_PRODUCER, "no such control");
    control->has_more = take_most(reader, 1, 1, "an unknown mark of a control") == 1;
    control->totals_count = take_most(reader, 2, FLETCH_ENVELOPE_ENTRIES_MAX, "too many totals");
    control->barrier = take64(reader);
    control->watermark = (int64_t)take64(reader);
    control->added_producer = take32(reader);
    control->reason = take_text(reader, FLETCH_ENVELOPE_TEXT_MAX);
    for (uint32_t i = 0; i < control->totals_count && reader->wrong == NULL; i++) {
        struct fletch_channel_totals *totals = &control->totals[i].totals;
        control->totals[i].partition = take32(reader);
        totals->frames = take64(reader);
        totals->rows = take64(reader);
        totals->bytes = take64(reader);
        totals->key_sum = take64(reader);
        totals->row_sum = take64(reader);
    }
    if (control->kind != FLETCH_CONTROL_END && (control->totals_count != 0 || control->has_more))
        refuse(reader, "only an end has totals, control", control->kind);
}

static void take_refuse(struct reader *reader, struct fletch_envelope_refuse *refusal)
{
    refusal->scope = (uint8_t)take_most(reader, 1, FLETCH_REFUSED_FRAME, "no such scope");
    refusal->status = (uint8_t)take_most(reader, 1, STATUS_MOST, "no such status");
    take_zeros(reader, 2);
    refusal->channel = take_channel(reader);
    refusal->sequence = take64(reader);
    refusal->text = take_text(reader, FLETCH_ENVELOPE_TEXT_MAX);
    if (refusal->status == FLETCH_OK)
        refuse(reader, "a refusal has the status", FLETCH_OK);
}

static void take_want(struct reader *reader, struct fletch_envelope_want *want)
{
    want->count = take_most(reader, 2, FLETCH_ENVELOPE_ENTRIES_MAX, "too many partitions");
    take_zeros(reader, 2);
    for (uint32_t i = 0; i < want->count; i++)
        want->partitions[i] = take32(reader);
}

static void take_body(struct reader *reader, struct fletch_envelope *envelope)
{
    switch (envelope->kind) {
    case FLETCH_ENVELOPE_HELLO:
        take_hello(reader, &envelope->hello);
        break;
    case FLETCH_ENVELOPE_WELCOME:
        take_welcome(reader, &envelope->welcome);
        break;
    case FLETCH_ENVELOPE_OFFER:
        take_offers(reader, &envelope->offers);
        break;
    case FLETCH_ENVELOPE_DATA:
        take_data(reader, &envelope->data);
        break;
    case FLETCH_ENVELOPE_UPDATE:
        take_update(reader, &envelope->update);
        break;
    case FLETCH_ENVELOPE_GIVE_BACK:
        envelope->give_back.channel = take_channel(reader);
        envelope->give_back.sequence = take_sequence(reader);
        break;
    case FLETCH_ENVELOPE_CONTROL:
        take_control(reader, &envelope->control);
        break;
    case FLETCH_ENVELOPE_REFUSE:
        take_refuse(reader, &envelope->refuse);
        break;
    case FLETCH_ENVELOPE_BYE:
        break;
    case FLETCH_ENVELOPE_WANT:
        take_want(reader, &envelope->want);
        break;
    }
}

static enum fletch_status take_header(struct reader *reader, unsigned *out_kind,
                                      struct fletch_error *error)
{
    uint32_t magic = (uint32_t)take(reader, 2);
    uint32_t version = take8(reader);
    uint32_t kind = take8(reader);
    uint32_t flags = take32(reader);
    if (reader->wrong != NULL || magic != FLETCH_ENVELOPE_MAGIC)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "%zu bytes that are no message of a pump", reader->byte_count);
    if (version != FLETCH_ENVELOPE_VERSION)
        return fletch_error_set(error, FLETCH_UNIMPLEMENTED,
                                "a message of version %u, and only %d is known", (unsigned)version,
                                FLETCH_ENVELOPE_VERSION);
    if (kind == 0 || kind >= KINDS)
        return fletch_error_set(error, FLETCH_UNIMPLEMENTED, "a message of the unknown kind %u",
                                (unsigned)kind);
    if (flags != 0)
        return fletch_error_set(error, FLETCH_UNIMPLEMENTED, "%s has the unknown flags 0x%x",
                                kind_names[kind], (unsigned)flags);
    *out_kind = kind;
    return FLETCH_OK;
}

enum fletch_status fletch_envelope_decode(const void *bytes, size_t byte_count,
                                          struct fletch_envelope *out_envelope,
                                          struct fletch_error *error)
{
    struct reader reader = {.bytes = bytes, .byte_count = byte_count};
    unsigned kind = 0;
    if (byte_count > FLETCH_ENVELOPE_BYTES_MAX)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "a message of %zu bytes, at most %d", byte_count,
                                FLETCH_ENVELOPE_BYTES_MAX);
    enum fletch_status status = take_header(&reader, &kind, error);
    if (status != FLETCH_OK)
        return status;
    out_envelope->kind = (enum fletch_envelope_kind)kind;
    take_body(&reader, out_envelope);
    if (reader.wrong == NULL && reader.at != byte_count)
        refuse(&reader, "bytes behind its end", byte_count - reader.at);
    if (reader.wrong == NULL)
        return FLETCH_OK;
    return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "%s: %s: %llu", kind_names[kind],
                            reader.wrong, (unsigned long long)reader.found);
}
