#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <fletching/fletching.h>

#include "command.h"
#include "command_line.h"
#include "text.h"

struct info_line {
    const char *name; /* in JSON */
    const char *title;
    struct text value;
    bool is_number;
};

enum {
    LINE_VERSION,
    LINE_SYSTEM,
    LINE_PROCESSOR,
    LINE_PROCESSORS,
    LINE_FEATURES,
    LINE_HASH,
    LINE_SCATTER,
    LINE_FENCE,
    LINE_PAGE,
    LINE_CACHE_LINE,
    LINE_FUNCTION,
    LINE_PARTITIONS,
    LINE_NODES,
    LINE_BUFFER,
    LINE_FIELDS,
    LINE_METADATA,
    LINE_BODY,
    LINE_FILES,
    LINES
};

static void describe_features(struct text *text, const struct fletch_runtime *runtime)
{
    const struct {
        const char *name;
        bool is_there;
    } features[] = {{"avx2", runtime->has_avx2},     {"bmi2", runtime->has_bmi2},
                    {"avx512", runtime->has_avx512}, {"neon", runtime->has_neon},
                    {"lse", runtime->has_lse},       {"crc32c", runtime->has_crc32c}};
    for (size_t i = 0; i < sizeof features / sizeof features[0]; i++)
        if (features[i].is_there)
            text_print(text, "%s%s", text->size > 0 ? " " : "", features[i].name);
}

static void describe_machine(struct info_line *lines)
{
    struct fletch_runtime runtime = {.struct_size = sizeof runtime};
    struct utsname system;
    fletch_runtime_describe(&runtime);
    text_print(&lines[LINE_VERSION].value, "%s", fletch_version());
    if (uname(&system) == 0)
        text_print(&lines[LINE_SYSTEM].value, "%s %s", system.sysname, system.release);
    text_print(&lines[LINE_PROCESSOR].value, "%s", runtime.processor);
    text_print(&lines[LINE_PROCESSORS].value, "%" PRIu32, runtime.processor_count);
    describe_features(&lines[LINE_FEATURES].value, &runtime);
    text_print(&lines[LINE_HASH].value, "%s", runtime.hash_kernels);
    text_print(&lines[LINE_SCATTER].value, "%s", runtime.scatter_kernels);
    text_print(&lines[LINE_FENCE].value, "%s", runtime.fence);
    text_print(&lines[LINE_PAGE].value, "%ld", sysconf(_SC_PAGESIZE));
    text_print(&lines[LINE_CACHE_LINE].value, "%" PRIu32, runtime.cache_line_bytes);
}

static void describe_limits(struct info_line *lines)
{
    struct rlimit files = {0};
    getrlimit(RLIMIT_NOFILE, &files);
    text_print(&lines[LINE_FUNCTION].value, "fletch-hash-1");
    text_print(&lines[LINE_PARTITIONS].value, "%u", FLETCH_PARTITIONS_MAX);
    text_print(&lines[LINE_NODES].value, "%" PRIu32, FLETCH_VIRTUAL_NODES_MAX);
    text_print(&lines[LINE_BUFFER].value, "%zu", FLETCH_BUFFER_BYTES_MAX);
    text_print(&lines[LINE_FIELDS].value, "%u", FLETCH_IPC_FIELDS_DEFAULT);
    text_print(&lines[LINE_METADATA].value, "%zu", FLETCH_IPC_METADATA_BYTES_DEFAULT);
    text_print(&lines[LINE_BODY].value, "%" PRIu64, FLETCH_IPC_BODY_BYTES_DEFAULT);
    text_print(&lines[LINE_FILES].value, "%" PRIu64, (uint64_t)files.rlim_max);
}

static void print_lines(const struct info_line *lines, bool is_json)
{
    struct text text = {0};
    text_word(&text, is_json ? "{" : "");
    for (size_t i = 0; i < LINES; i++) {
        const struct info_line *line = &lines[i];
        if (!is_json) {
            text_print(&text, "%-38s %.*s\n", line->title, (int)line->value.size,
                       line->value.bytes);
            continue;
        }
        text_json_key(&text, line->name);
        if (line->is_number)
            text_append(&text, line->value.bytes, line->value.size);
        else
            text_json(&text, line->value.bytes, line->value.size);
    }
    text_word(&text, is_json ? "}\n" : "");
    text_write(&text, stdout);
    text_end(&text);
}

enum outcome info_command(char **words)
{
    bool is_json = false;
    struct info_line lines[LINES] = {
        [LINE_VERSION] = {"version", "library", .is_number = false},
        [LINE_SYSTEM] = {"system", "system", .is_number = false},
        [LINE_PROCESSOR] = {"processor", "processor", .is_number = false},
        [LINE_PROCESSORS] = {"processors", "processors", .is_number = true},
        [LINE_FEATURES] = {"features", "extensions that are used or known", .is_number = false},
        [LINE_HASH] = {"hash_kernels", "kernels of the hash", .is_number = false},
        [LINE_SCATTER] = {"scatter_kernels", "kernels of the scatter", .is_number = false},
        [LINE_FENCE] = {"fence", "fence of sleepers", .is_number = false},
        [LINE_PAGE] = {"page_bytes", "bytes of a page", .is_number = true},
        [LINE_CACHE_LINE] = {"cache_line_bytes", "bytes of a cache line", .is_number = true},
        [LINE_FUNCTION] = {"partition_function", "partition function", .is_number = false},
        [LINE_PARTITIONS] = {"partitions_max", "most partitions", .is_number = true},
        [LINE_NODES] = {"virtual_nodes_max", "most virtual nodes", .is_number = true},
        [LINE_BUFFER] = {"buffer_bytes_max", "most bytes of a buffer", .is_number = true},
        [LINE_FIELDS] = {"fields_max", "most fields of an input", .is_number = true},
        [LINE_METADATA] = {"metadata_bytes_max", "most metadata of a message", .is_number = true},
        [LINE_BODY] = {"body_bytes_max", "most bytes of a message's body", .is_number = true},
        [LINE_FILES] = {"files_max", "most open files (ulimit -Hn)", .is_number = true}};
    const struct option_entry options[] = {
        {"json", OPTION_FLAG, NULL, "one object instead of text", &is_json}};
    const struct command_usage usage = {
        .name = "info",
        .synopsis = "[--json]",
        .text = "Tells the version, what the library runs on, which variants of its inner loops\n"
                "it has chosen because of that, and limits.\n",
        .options = options,
        .option_count = sizeof options / sizeof options[0]};
    struct operands operands;
    enum outcome outcome;
    if (!options_parse(&usage, words, &operands, &outcome))
        return outcome;
    if (operands.count > 0)
        return options_refuse(&usage, "takes no '%s'", operands.words[0]);
    describe_machine(lines);
    describe_limits(lines);
    print_lines(lines, is_json);
    for (size_t i = 0; i < LINES; i++)
        text_end(&lines[i].value);
    return OUTCOME_DONE;
}
