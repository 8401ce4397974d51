#include "key_columns.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "text.h"

static enum outcome tell_columns(const struct command_usage *usage,
                                 const struct fletch_schema *schema, const char *name, size_t size)
{
    enum { SHOWN = 30 };
    struct text text = {0};
    size_t count = fletch_schema_column_count(schema);
    for (size_t i = 0; i < count && i < SHOWN; i++)
        text_print(&text, "%s%s", i > 0 ? ", " : "", fletch_schema_column_name(schema, i, NULL));
    enum outcome outcome =
        options_refuse(usage, "there is no column '%.*s'; there are: %.*s%s", (int)size, name,
                       (int)text.size, text.bytes, count > SHOWN ? " ..." : "");
    text_end(&text);
    return outcome;
}

enum outcome key_columns_find(const struct command_usage *usage, const struct fletch_schema *schema,
                              const char *names, struct key_columns *out_columns)
{
    out_columns->count = 0;
    for (const char *name = names;;) {
        size_t size = strcspn(name, ",");
        size_t column;
        if (out_columns->count == KEY_COLUMNS_MAX)
            return options_refuse(usage, "--by names more than %d columns", KEY_COLUMNS_MAX);
        size_t found = fletch_schema_find_column(schema, name, size, &column);
        if (found == 0)
            return tell_columns(usage, schema, name, size);
        if (found > 1)
            return options_refuse(usage, "%zu columns have the name '%.*s'", found, (int)size,
                                  name);
        out_columns->numbers[out_columns->count++] = (uint32_t)column;
        if (name[size] == '\0')
            return OUTCOME_DONE;
        name += size + 1;
    }
}

enum outcome key_orders_parse(const struct command_usage *usage, const char *words, uint32_t count,
                              struct fletch_range_order out_orders[KEY_COLUMNS_MAX])
{
    static const struct {
        const char *word;
        struct fletch_range_order order;
    } known[] = {{"asc", {false, false}},
                 {"desc", {true, false}},
                 {"asc:nulls-last", {false, false}},
                 {"desc:nulls-last", {true, false}},
                 {"asc:nulls-first", {false, true}},
                 {"desc:nulls-first", {true, true}}};
    enum { KNOWN = sizeof known / sizeof known[0] };
    uint32_t found = 0;
    for (uint32_t i = 0; i < KEY_COLUMNS_MAX; i++)
        out_orders[i] = known[0].order;
    for (const char *word = words; word != NULL;) {
        size_t size = strcspn(word, ","), i = 0;
        while (i < KNOWN &&
               (strlen(known[i].word) != size || memcmp(known[i].word, word, size) != 0))
            i++;
        if (i == KNOWN)
            return options_refuse(usage,
                                  "--order: '%.*s' is not asc or desc, with :nulls-first or "
                                  ":nulls-last behind it or not",
                                  (int)size, word);
        if (found < count)
            out_orders[found] = known[i].order;
        found++;
        word = word[size] == '\0' ? NULL : word + size + 1;
    }
    if (words != NULL && found != count)
        return options_refuse(
            usage, "--order has %" PRIu32 " words, and the key %" PRIu32 " columns", found, count);
    return OUTCOME_DONE;
}
