/* A build without toml++: files of settings are refused. */

#include <stdio.h>

#include "toml_file.h"

bool toml_file_parse(const char *bytes, size_t size, struct toml_file **out_file,
                     struct toml_trouble *out_trouble)
{
    (void)bytes;
    (void)size;
    (void)out_file;
    *out_trouble = (struct toml_trouble){.line = 0};
    snprintf(out_trouble->text, sizeof out_trouble->text,
             "this build of fletch reads no TOML (FLETCH_TOML)");
    return false;
}

const struct toml_entry *toml_file_entries(const struct toml_file *file, size_t *out_count)
{
    (void)file;
    *out_count = 0;
    return NULL;
}

void toml_file_close(struct toml_file *file)
{
    (void)file;
}
