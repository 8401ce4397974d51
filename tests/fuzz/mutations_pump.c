/* Good messages of a pump, damaged by a seed and given to the fuzz target: a conversation in which
 * frames are offered and sent, controls told and answered. Arguments: seed, rounds. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "fuzz/fuzz_target.h"
#include "pump/envelope.h"

enum { MESSAGES = 24, INPUT_MOST = MESSAGES * 1024, CHANGES_MOST = 3 };

static uint8_t good[INPUT_MOST], bad[INPUT_MOST];
static size_t starts[MESSAGES + 1];

static struct fletch_envelope_channel channel_of(struct fletch_random *random)
{
    return (struct fletch_envelope_channel){fletch_random_below(random, 4), 1,
                                            fletch_random_below(random, 5)};
}

static void fill(struct fletch_random *random, struct fletch_envelope *envelope)
{
    struct fletch_envelope_channel channel = channel_of(random);
    memset(envelope, 0, sizeof *envelope);
    envelope->kind = (enum fletch_envelope_kind)(3 + fletch_random_below(random, 8));
    switch (envelope->kind) {
    case FLETCH_ENVELOPE_OFFER:
        envelope->offers.count = 1 + fletch_random_below(random, 3);
        for (uint32_t i = 0; i < envelope->offers.count; i++)
            envelope->offers.offers[i] = (struct fletch_envelope_offer){channel, i + 1, 100, 0};
        break;
    case FLETCH_ENVELOPE_DATA:
        envelope->data = (struct fletch_envelope_data){
            .channel = channel, .sequence = 1 + fletch_random_below(random, 3), .bytes = 100};
        envelope->data.offset = 100 * (envelope->data.sequence - 1);
        break;
    case FLETCH_ENVELOPE_UPDATE:
        envelope->update.is_complete = true;
        envelope->update.mark_count = envelope->update.answer_count = 1;
        envelope->update.marks[0] = (struct fletch_envelope_mark){
            {1, 1, 3}, fletch_random_below(random, 4), 0, 100 * fletch_random_below(random, 8)};
        envelope->update.answers[0] = (struct fletch_envelope_answer){
            1, 1, 1 + fletch_random_below(random, 2), 0, {"", 0}};
        break;
    case FLETCH_ENVELOPE_GIVE_BACK:
        envelope->give_back = (struct fletch_envelope_give_back){channel, 2};
        break;
    case FLETCH_ENVELOPE_CONTROL:
        envelope->control.producer = channel.producer;
        envelope->control.attempt = 1;
        envelope->control.sequence = 1 + fletch_random_below(random, 2);
        envelope->control.kind = FLETCH_CONTROL_END;
        envelope->control.totals_count = fletch_random_below(random, 3);
        break;
    case FLETCH_ENVELOPE_REFUSE:
        envelope->refuse = (struct fletch_envelope_refuse){
            .scope = (uint8_t)fletch_random_below(random, 4),
            .status = FLETCH_UNAVAILABLE,
            .channel = channel,
            .text = {"LOST: so it goes", 16}};
        break;
    case FLETCH_ENVELOPE_WANT:
        envelope->want.count = 2;
        break;
    default:
        break;
    }
}

static size_t converse(struct fletch_random *random)
{
    static struct fletch_envelope envelope;
    static uint8_t bytes[FLETCH_ENVELOPE_BYTES_MAX];
    size_t size = 0;
    for (int i = 0; i < MESSAGES; i++) {
        fill(random, &envelope);
        size_t count = fletch_envelope_encode(&envelope, bytes);
        starts[i] = size;
        good[size++] = (uint8_t)count;
        good[size++] = (uint8_t)(count >> 8);
        memcpy(good + size, bytes, count);
        size += count;
    }
    starts[MESSAGES] = size;
    return size;
}

/* Inside a message, so that the others can still be read. */
static void change(struct fletch_random *random)
{
    uint32_t which = fletch_random_below(random, MESSAGES);
    size_t first = starts[which] + 2;
    size_t at = first + fletch_random_below(random, (uint32_t)(starts[which + 1] - first));
    if (fletch_random_below(random, 2) == 0)
        bad[at] ^= (uint8_t)(1 << fletch_random_below(random, 8));
    else
        bad[at] = (uint8_t)fletch_random_u64(random);
}

int main(int argc, char **argv)
{
    struct fletch_random random = fletch_random_from_seed(argc > 1 ? strtoull(argv[1], NULL, 0) : 1);
    unsigned long rounds = argc > 2 ? strtoul(argv[2], NULL, 0) : 1000;
    for (unsigned long i = 0; i < rounds; i++) {
        size_t size = converse(&random);
        memcpy(bad, good, size);
        (void)LLVMFuzzerTestOneInput(bad, size);
        for (uint32_t changes = fletch_random_below(&random, CHANGES_MOST + 1); changes != 0;
             changes--)
            change(&random);
        (void)LLVMFuzzerTestOneInput(bad, size);
    }
    printf("%lu rounds\n", rounds);
    return 0;
}
