#include "inputs.h"

#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Folders inside folders, so that a circle of links ends. */
enum { FOLDER_DEPTH_MAX = 32 };

const char *inputs_name(const char *path)
{
    return strcmp(path, INPUTS_STANDARD) == 0 ? "standard input" : path;
}

static enum outcome append(struct inputs *inputs, const char *path)
{
    if (inputs->count == inputs->capacity) {
        size_t capacity = inputs->capacity == 0 ? 16 : inputs->capacity * 2;
        char **paths = realloc(inputs->paths, capacity * sizeof *paths);
        if (paths == NULL)
            return outcome_tell(OUTCOME_SYSTEM, "no memory for %zu paths", capacity);
        inputs->paths = paths;
        inputs->capacity = capacity;
    }
    char *copy = strdup(path);
    if (copy == NULL)
        return outcome_tell(OUTCOME_SYSTEM, "no memory for a path");
    inputs->paths[inputs->count++] = copy;
    return OUTCOME_DONE;
}

static bool is_arrow_name(const char *name)
{
    static const char *const endings[] = {".arrow", ".arrows", ".ipc", ".feather"};
    const char *ending = strrchr(name, '.');
    if (ending == NULL || name[0] == '.')
        return false;
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++)
        if (strcmp(ending, endings[i]) == 0)
            return true;
    return false;
}

static enum outcome append_folder(struct inputs *inputs, const char *folder, int depth);

static enum outcome append_entry(struct inputs *inputs, const char *folder, const char *name,
                                 int depth)
{
    char path[PATH_MAX];
    struct stat about;
    if (name[0] == '.')
        return OUTCOME_DONE;
    const char *slash = folder[strlen(folder) - 1] == '/' ? "" : "/";
    if ((size_t)snprintf(path, sizeof path, "%s%s%s", folder, slash, name) >= sizeof path)
        return outcome_tell(OUTCOME_SYSTEM, "%s: path of more than %d bytes", folder, PATH_MAX);
    if (stat(path, &about) != 0)
        return is_arrow_name(name) ? outcome_tell_errno(path, "cannot look at it") : OUTCOME_DONE;
    if (S_ISDIR(about.st_mode))
        return append_folder(inputs, path, depth + 1);
    return is_arrow_name(name) ? append(inputs, path) : OUTCOME_DONE;
}

static enum outcome append_folder(struct inputs *inputs, const char *folder, int depth)
{
    struct dirent **entries;
    if (depth > FOLDER_DEPTH_MAX)
        return outcome_tell(OUTCOME_SYSTEM, "%s: more than %d folders deep", folder,
                            FOLDER_DEPTH_MAX);
    int count = scandir(folder, &entries, NULL, alphasort);
    if (count < 0)
        return outcome_tell_errno(folder, "cannot list it");
    enum outcome outcome = OUTCOME_DONE;
    for (int i = 0; i < count; i++) {
        if (outcome == OUTCOME_DONE)
            outcome = append_entry(inputs, folder, entries[i]->d_name, depth);
        free(entries[i]);
    }
    free(entries);
    return outcome;
}

static enum outcome append_path(struct inputs *inputs, const char *path)
{
    struct stat about;
    if (strcmp(path, INPUTS_STANDARD) == 0)
        return append(inputs, path);
    if (stat(path, &about) != 0)
        return outcome_tell_errno(path, "cannot open");
    if (!S_ISDIR(about.st_mode))
        return append(inputs, path);
    size_t before = inputs->count;
    enum outcome outcome = append_folder(inputs, path, 0);
    if (outcome == OUTCOME_DONE && inputs->count == before)
        return outcome_tell(OUTCOME_INPUT,
                            "%s: no *.arrow, *.arrows, *.ipc or *.feather in this folder", path);
    return outcome;
}

static enum outcome append_pattern(struct inputs *inputs, const char *pattern)
{
    glob_t found;
    if (glob(pattern, 0, NULL, &found) != 0) {
        errno = ENOENT;
        return outcome_tell_errno(pattern, "no file matches");
    }
    enum outcome outcome = OUTCOME_DONE;
    for (size_t i = 0; i < found.gl_pathc && outcome == OUTCOME_DONE; i++)
        outcome = append_path(inputs, found.gl_pathv[i]);
    globfree(&found);
    return outcome;
}

enum outcome inputs_check(const struct command_usage *usage, char *const *words, size_t word_count)
{
    size_t standard = 0;
    for (size_t i = 0; i < word_count; i++)
        standard += strcmp(words[i], INPUTS_STANDARD) == 0;
    if (standard <= 1)
        return OUTCOME_DONE;
    return options_refuse(usage, "'-' is given %zu times: standard input can be read once only",
                          standard);
}

enum outcome inputs_expand(struct inputs *inputs, char *const *words, size_t word_count)
{
    enum outcome outcome = OUTCOME_DONE;
    for (size_t i = 0; i < word_count && outcome == OUTCOME_DONE; i++) {
        struct stat about;
        bool is_pattern = strpbrk(words[i], "*?[") != NULL && lstat(words[i], &about) != 0;
        outcome = is_pattern ? append_pattern(inputs, words[i]) : append_path(inputs, words[i]);
    }
    return outcome;
}

void inputs_end(struct inputs *inputs)
{
    for (size_t i = 0; i < inputs->count; i++)
        free(inputs->paths[i]);
    free(inputs->paths);
    *inputs = (struct inputs){0};
}
