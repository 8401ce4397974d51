/* Runs a target on files, and on all files of folders: what fuzzing found once, and the seeds.
 *
 *   replay_TARGET FILE|FOLDER... */

#include "fuzz/fuzz_target.h"

#include <dirent.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

enum { PATH_BYTES = 4096 };

static void give_up(const char *path)
{
    perror(path);
    exit(2);
}

static void replay_file(const char *path, const struct stat *is)
{
    const size_t size = (size_t)is->st_size;
    /* A block that ends where the input ends: a sanitizer sees who reads on. */
    uint8_t *bytes = malloc(size == 0 ? 1 : size);
    FILE *file = fopen(path, "rb");
    if (bytes == NULL || file == NULL || fread(bytes, 1, size, file) != size)
        give_up(path);
    fclose(file);
    /* What ends the program says why; this says where. */
    fprintf(stderr, "%s\n", path);
    LLVMFuzzerTestOneInput(bytes, size);
    free(bytes);
}

static size_t replay(const char *path);

static size_t replay_folder(const char *path)
{
    DIR *folder = opendir(path);
    const struct dirent *entry;
    size_t count = 0;
    if (folder == NULL)
        give_up(path);
    while ((entry = readdir(folder)) != NULL) {
        char inside[PATH_BYTES];
        snprintf(inside, sizeof inside, "%s/%s", path, entry->d_name);
        if (entry->d_name[0] != '.')
            count += replay(inside);
    }
    closedir(folder);
    return count;
}

static size_t replay(const char *path)
{
    struct stat is;
    if (stat(path, &is) != 0)
        give_up(path);
    if (S_ISDIR(is.st_mode))
        return replay_folder(path);
    replay_file(path, &is);
    return 1;
}

int main(int argc, char **argv)
{
    size_t count = 0;
    for (int i = 1; i < argc; i++)
        count += replay(argv[i]);
    printf("%zu inputs\n", count);
    return count == 0 ? 2 : 0;
}
