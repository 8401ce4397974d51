#include "output_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SIGNAL_EXIT = 128 };

/* The temporary name, which is written before the handler is there to read it. */
static char partial[PATH_MAX];
static int partial_folder_fd;

static void remove_and_exit(int number)
{
    unlinkat(partial_folder_fd, partial, 0);
    _exit(SIGNAL_EXIT + number);
}

/* Signals that are ignored already (nohup) stay so. */
static void on_signals(void (*handler)(int))
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    const struct sigaction action = {.sa_handler = handler};
    struct sigaction before;
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        if (sigaction(signals[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            sigaction(signals[i], &action, NULL);
}

static enum outcome check_name(const struct output_file *file)
{
    struct stat about;
    if (file->name[0] == '\0')
        return outcome_tell(OUTCOME_USAGE, "%s: is a folder, expected the name of a file",
                            file->path);
    if (fstatat(file->folder_fd, file->name, &about, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? OUTCOME_DONE : outcome_tell_errno(file->path, "cannot look at it");
    if (!S_ISREG(about.st_mode))
        return outcome_tell(OUTCOME_USAGE, "%s: is there already, and no file", file->path);
    if (!file->replaces)
        return outcome_tell(OUTCOME_USAGE, "%s: is there already; --replace replaces it",
                            file->path);
    return OUTCOME_DONE;
}

enum outcome output_file_open(struct output_file *file, const char *path, bool replaces)
{
    const char *slash = strrchr(path, '/');
    char folder[PATH_MAX];
    *file = (struct output_file){.path = path,
                                 .name = slash == NULL ? path : slash + 1,
                                 .folder_fd = -1,
                                 .fd = -1,
                                 .replaces = replaces};
    if (strlen(path) >= sizeof folder)
        return outcome_tell(OUTCOME_USAGE, "%.64s...: a path of %zu bytes, at most %d", path,
                            strlen(path), PATH_MAX - 1);
    snprintf(folder, sizeof folder, "%.*s", slash == NULL ? 1 : (int)(file->name - path),
             slash == NULL ? "." : path);
    file->folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file->folder_fd < 0)
        return outcome_tell_errno(folder, "cannot open the folder");
    enum outcome outcome = check_name(file);
    if (outcome != OUTCOME_DONE)
        return outcome;
    snprintf(partial, sizeof partial, ".fletch-%ld-out.partial", (long)getpid());
    partial_folder_fd = file->folder_fd;
    file->fd = openat(file->folder_fd, partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file->fd < 0)
        return outcome_tell_errno(path, "cannot make a file beside it");
    on_signals(remove_and_exit);
    return OUTCOME_DONE;
}

/* Unless it is to replace one, not over a file that somebody has put there meanwhile; file systems
 * that cannot tell (EINVAL) replace it. */
static bool give_name(const struct output_file *file)
{
    int fd = file->folder_fd;
    if (!file->replaces) {
        if (renameat2(fd, partial, fd, file->name, RENAME_NOREPLACE) == 0)
            return true;
        if (errno != EINVAL && errno != ENOSYS)
            return false;
    }
    return renameat(fd, partial, fd, file->name) == 0;
}

enum outcome output_file_publish(struct output_file *file)
{
    enum outcome outcome = OUTCOME_DONE;
    if (fsync(file->fd) != 0)
        outcome = outcome_tell_errno(file->path, "cannot bring it to the disk");
    if (outcome == OUTCOME_DONE) {
        on_signals(SIG_IGN); /* too late for them: the work is done */
        if (!give_name(file))
            outcome = outcome_tell_errno(file->path, "cannot give it its name");
        else if (fsync(file->folder_fd) != 0)
            outcome = outcome_tell_errno(file->path, "cannot bring its folder to the disk");
    }
    output_file_end(file);
    return outcome;
}

void output_file_end(struct output_file *file)
{
    if (file->fd >= 0) {
        unlinkat(file->folder_fd, partial, 0); /* not there if it has its name */
        close(file->fd);
    }
    if (file->folder_fd >= 0)
        close(file->folder_fd);
    file->fd = file->folder_fd = -1;
}

enum fletch_ipc_format output_file_format(const char *path)
{
    static const char end[] = ".arrows";
    size_t size = strlen(path), end_size = sizeof end - 1;
    bool is_stream = size >= end_size && strcmp(path + size - end_size, end) == 0;
    return is_stream ? FLETCH_IPC_STREAM : FLETCH_IPC_FILE;
}

bool output_compression_parse(const char *word, enum fletch_ipc_compression *out_compression)
{
    *out_compression = FLETCH_IPC_COMPRESSION_OFF;
    if (word == NULL)
        return true;
    if (strcmp(word, "lz4") == 0)
        *out_compression = FLETCH_IPC_COMPRESSION_LZ4;
    else if (strcmp(word, "zstd") == 0)
        *out_compression = FLETCH_IPC_COMPRESSION_ZSTD;
    return *out_compression != FLETCH_IPC_COMPRESSION_OFF;
}
