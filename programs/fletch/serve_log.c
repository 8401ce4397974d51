#include "serve_log.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "text.h"

static const char *const level_words[] = {
    [LOG_LEVEL_INFO] = "info", [LOG_LEVEL_WARNING] = "warning", [LOG_LEVEL_ERROR] = "error"};
static bool is_json_log; /* written before there are threads */

void serve_log_begin(bool is_json)
{
    is_json_log = is_json;
}

struct time_words {
    char text[32];
};

/* "2026-01-31T23:59:59.123Z" */
static struct time_words now(void)
{
    struct time_words words;
    struct timespec time;
    struct tm parts;
    clock_gettime(CLOCK_REALTIME, &time);
    gmtime_r(&time.tv_sec, &parts);
    size_t used = strftime(words.text, sizeof words.text, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(words.text + used, sizeof words.text - used, ".%03uZ",
             (unsigned)(time.tv_nsec / 1000000) % 1000);
    return words;
}

/* As it is, or in quotes where a reader would take it for something else. */
static void append_word(struct text *line, const char *word)
{
    size_t size = strlen(word), plain = strcspn(word, " \"=\\");
    for (size_t i = 0; i < plain; i++)
        if ((unsigned char)word[i] < 0x20 || word[i] == 0x7F)
            plain = i;
    if (size > 0 && plain == size && text_is_utf8(word, size))
        text_append(line, word, size);
    else
        text_json(line, word, size);
}

static void append_text(struct text *line, const struct log_field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        text_print(line, " %s=", fields[i].name);
        if (fields[i].text != NULL)
            append_word(line, fields[i].text);
        else
            text_print(line, "%" PRIu64, fields[i].number);
    }
}

static void append_json(struct text *line, const struct log_field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (fields[i].text != NULL)
            text_json_member(line, fields[i].name, fields[i].text);
        else
            text_json_number(line, fields[i].name, fields[i].number);
}

void serve_log(enum log_level level, const char *message, const struct log_field *fields,
               size_t count)
{
    struct text line = {0};
    if (is_json_log) {
        text_word(&line, "{");
        text_json_member(&line, "time", now().text);
        text_json_member(&line, "level", level_words[level]);
        text_json_member(&line, "message", message);
        append_json(&line, fields, count);
        text_word(&line, "}\n");
    } else {
        text_print(&line, "%s %s %s", now().text, level_words[level], message);
        append_text(&line, fields, count);
        text_word(&line, "\n");
    }
    /* Who reads the log may be gone: the server goes on. */
    if (!line.failed && write(STDERR_FILENO, line.bytes, line.size) < 0) {
    }
    text_end(&line);
}
