#include "part_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FINAL_PATTERN "part-[0-9][0-9][0-9][0-9][0-9].arrow"
#define PARTIAL_PATTERN ".fletch-*-part-*.partial"

struct part_name {
    char text[128];
};

static struct part_name final_name(uint32_t partition)
{
    struct part_name name;
    snprintf(name.text, sizeof name.text, "part-%05" PRIu32 ".arrow", partition);
    return name;
}

static struct part_name partial_name(const struct part_folder *folder, uint32_t partition)
{
    struct part_name name;
    snprintf(name.text, sizeof name.text, "%s-part-%05" PRIu32 ".partial", folder->prefix,
             partition);
    return name;
}

#ifdef __GNUC__
__attribute__((format(printf, 3, 4)))
#endif
static enum fletch_status
refuse(struct fletch_error *error, enum fletch_status status, const char *format, ...)
{
    va_list arguments;
    error->status = status;
    va_start(arguments, format);
    vsnprintf(error->message, sizeof error->message, format, arguments);
    va_end(arguments);
    return status;
}

/* How many names of a folder match. */
static size_t count_names(int folder_fd, const char *pattern)
{
    int fd = openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = fd < 0 ? NULL : fdopendir(fd);
    size_t count = 0;
    if (entries == NULL) {
        if (fd >= 0)
            close(fd);
        return 0;
    }
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;)
        count += fnmatch(pattern, entry->d_name, 0) == 0;
    closedir(entries);
    return count;
}

static enum outcome look_around(const struct part_folder *folder, bool replaces)
{
    size_t partial = count_names(folder->fd, PARTIAL_PATTERN);
    size_t parts = count_names(folder->fd, FINAL_PATTERN);
    if (partial > 0)
        outcome_tell(OUTCOME_DONE,
                     "%s: %zu unfinished files of another run; unless it still runs, remove them "
                     "by: rm %s/.fletch-*.partial",
                     folder->path, partial, folder->path);
    if (parts > 0 && !replaces)
        return outcome_tell(OUTCOME_USAGE,
                            "%s: %zu files part-*.arrow are there already; --replace replaces them",
                            folder->path, parts);
    return OUTCOME_DONE;
}

/* A folder that has the name of a part cannot be replaced by one: told before parts beside it
 * are. */
static enum outcome look_for_folders(const struct part_folder *folder)
{
    for (uint32_t i = 0; i < folder->count; i++) {
        struct stat about;
        struct part_name name = final_name(i);
        if (fstatat(folder->fd, name.text, &about, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISDIR(about.st_mode))
            return outcome_tell(OUTCOME_SYSTEM, "%s/%s: is a folder, which no part replaces",
                                folder->path, name.text);
    }
    return OUTCOME_DONE;
}

static enum outcome make_tables(struct part_folder *folder, const struct part_plan *plan)
{
    uint32_t share = plan->open_files / plan->thread_count;
    uint32_t most = (plan->count + plan->thread_count - 1) / plan->thread_count;
    size_t slots = 0;
    folder->slots_each = share < most ? share : most;
    slots = (size_t)folder->slots_each * folder->thread_count;
    folder->files = calloc(folder->count, sizeof *folder->files);
    folder->slots = calloc(slots, sizeof *folder->slots);
    if (folder->files == NULL || folder->slots == NULL)
        return outcome_tell(OUTCOME_SYSTEM, "no memory for %" PRIu32 " files", folder->count);
    for (size_t i = 0; i < slots; i++)
        folder->slots[i].fd = -1;
    return OUTCOME_DONE;
}

enum outcome part_folder_open(struct part_folder *folder, const struct part_plan *plan)
{
    struct timespec now;
    *folder = (struct part_folder){.path = plan->path,
                                   .fd = -1,
                                   .count = plan->count,
                                   .thread_count = plan->thread_count,
                                   .replaces = plan->replaces,
                                   .compression = plan->compression};
    folder->is_made = mkdir(plan->path, 0777) == 0;
    if (!folder->is_made && errno != EEXIST)
        return outcome_tell_errno(plan->path, "cannot make the folder");
    folder->fd = open(plan->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum outcome outcome = OUTCOME_DONE;
    if (folder->fd < 0)
        outcome = outcome_tell_errno(plan->path, "cannot open the folder");
    else if (faccessat(folder->fd, ".", W_OK | X_OK, AT_EACCESS) != 0)
        outcome = outcome_tell_errno(plan->path, "cannot write to the folder");
    else
        outcome = look_around(folder, plan->replaces);
    if (outcome == OUTCOME_DONE)
        outcome = look_for_folders(folder);
    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(folder->prefix, sizeof folder->prefix, ".fletch-%ld-%llx", (long)getpid(),
             (unsigned long long)now.tv_sec * 1000000000u + (unsigned long long)now.tv_nsec);
    if (outcome == OUTCOME_DONE)
        outcome = make_tables(folder, plan);
    if (outcome != OUTCOME_DONE)
        part_folder_close(folder);
    return outcome;
}

/* ---- descriptors ---- */

static struct part_slot *slot_of(const struct part_folder *folder, uint32_t partition)
{
    uint32_t thread = partition % folder->thread_count;
    uint32_t turn = partition / folder->thread_count % folder->slots_each;
    return &folder->slots[(size_t)thread * folder->slots_each + turn];
}

/* Makes the slot's descriptor one of the partition's file, which is made if it is not there: a
 * writer keeps the number for good, whatever it stands for meanwhile. */
static enum fletch_status attach(struct part_folder *folder, uint32_t partition,
                                 struct fletch_error *error)
{
    struct part_file *file = &folder->files[partition];
    struct part_slot *slot = slot_of(folder, partition);
    if (slot->attached == file)
        return FLETCH_OK;
    struct part_name name = partial_name(folder, partition);
    int flags = O_WRONLY | O_APPEND | O_CLOEXEC | (file->is_made ? 0 : O_CREAT | O_EXCL);
    int fd = openat(folder->fd, name.text, flags, 0666);
    if (fd < 0)
        return refuse(error, FLETCH_UNAVAILABLE, "%s/%s: cannot %s it: %s", folder->path, name.text,
                      file->is_made ? "open" : "make", strerror(errno));
    file->is_made = true;
    if (slot->fd < 0) {
        slot->fd = fd;
    } else {
        bool is_same = dup3(fd, slot->fd, O_CLOEXEC) >= 0;
        int reason = errno;
        close(fd);
        if (!is_same)
            return refuse(error, FLETCH_UNAVAILABLE, "%s/%s: cannot open it: %s", folder->path,
                          name.text, strerror(reason));
    }
    slot->attached = file;
    return FLETCH_OK;
}

/* Closes the file that the slot is attached to, and keeps the number: it stands for the folder
 * then. False: the system found that something could not be written. */
static bool detach(struct part_folder *folder, struct part_slot *slot)
{
    int last = dup(slot->fd);
    bool is_free = last >= 0 && dup3(folder->fd, slot->fd, O_CLOEXEC) >= 0;
    slot->attached = NULL;
    return last >= 0 && close(last) == 0 && is_free;
}

enum fletch_status part_file_begin(struct part_folder *folder, uint32_t partition,
                                   struct fletch_schema *schema, struct fletch_buffer_cache *cache,
                                   struct fletch_error *error)
{
    struct part_file *file = &folder->files[partition];
    struct fletch_ipc_write_options options = {.struct_size = sizeof options,
                                               .cache = cache,
                                               .format = FLETCH_IPC_FILE,
                                               .compression = folder->compression};
    enum fletch_status status = attach(folder, partition, error);
    if (status != FLETCH_OK || file->writer != NULL)
        return status;
    return fletch_ipc_writer_open_fd(slot_of(folder, partition)->fd, schema, &options,
                                     &file->writer, error);
}

/* Puts the file's name in front of what went wrong. */
static enum fletch_status name_file(const struct part_folder *folder, uint32_t partition,
                                    enum fletch_status status, struct fletch_error *error)
{
    char message[sizeof error->message];
    if (status == FLETCH_OK)
        return status;
    memcpy(message, error->message, sizeof message);
    return refuse(error, status, "%s/%s: %.300s", folder->path, final_name(partition).text,
                  message);
}

enum fletch_status part_file_write(struct part_folder *folder, uint32_t partition,
                                   struct fletch_batch *batch, struct fletch_error *error)
{
    struct part_file *file = &folder->files[partition];
    enum fletch_status status = fletch_ipc_writer_write(file->writer, batch, NULL, error);
    file->rows += (uint64_t)fletch_batch_row_count(batch);
    file->batches++;
    return name_file(folder, partition, status, error);
}

enum fletch_status part_file_finish(struct part_folder *folder, uint32_t partition,
                                    struct fletch_error *error)
{
    struct part_file *file = &folder->files[partition];
    struct stat about;
    enum fletch_status status = fletch_ipc_writer_finish(file->writer, error);
    fletch_ipc_writer_close(file->writer);
    file->writer = NULL;
    if (fstat(slot_of(folder, partition)->fd, &about) == 0)
        file->bytes = (uint64_t)about.st_size;
    return name_file(folder, partition, status, error);
}

enum fletch_status part_file_sync(struct part_folder *folder, uint32_t partition,
                                  struct fletch_error *error)
{
    struct part_slot *slot = slot_of(folder, partition);
    bool is_safe = !folder->syncs || fsync(slot->fd) == 0;
    int reason = errno;
    bool is_closed = detach(folder, slot);
    reason = is_safe && !is_closed ? errno : reason;
    if (is_safe && is_closed)
        return FLETCH_OK;
    return refuse(error, FLETCH_UNAVAILABLE, "%s/%s: cannot bring it to the disk: %s", folder->path,
                  final_name(partition).text, strerror(reason));
}

/* Removes parts of an earlier run that this one does not write. */
static void remove_others(const struct part_folder *folder)
{
    for (uint32_t i = folder->count; i < 100000; i++)
        if (unlinkat(folder->fd, final_name(i).text, 0) != 0 && errno == ENOENT &&
            count_names(folder->fd, FINAL_PATTERN) <= folder->count)
            return;
}

/* Gives a part its name. Unless parts are to be replaced, not over one that another run has put
 * there meanwhile; file systems that cannot tell (EINVAL) replace it. */
static bool give_name(const struct part_folder *folder, uint32_t partition)
{
    struct part_name partial = partial_name(folder, partition), final = final_name(partition);
    if (!folder->replaces) {
        if (renameat2(folder->fd, partial.text, folder->fd, final.text, RENAME_NOREPLACE) == 0)
            return true;
        if (errno != EINVAL && errno != ENOSYS)
            return false;
    }
    return renameat(folder->fd, partial.text, folder->fd, final.text) == 0;
}

enum outcome part_folder_publish(struct part_folder *folder)
{
    for (uint32_t i = 0; i < folder->count; i++) {
        if (!give_name(folder, i)) {
            enum outcome outcome = outcome_tell_errno(folder->path, "cannot rename parts in it");
            for (uint32_t k = 0; k < i; k++)
                unlinkat(folder->fd, final_name(k).text, 0);
            return outcome;
        }
    }
    for (uint32_t i = 0; i < folder->count; i++)
        folder->files[i].is_published = true;
    remove_others(folder);
    if (folder->syncs && fsync(folder->fd) != 0)
        return outcome_tell_errno(folder->path, "cannot bring the folder to the disk");
    return OUTCOME_DONE;
}

void part_folder_abandon(struct part_folder *folder)
{
    for (uint32_t i = 0; i < folder->count && folder->files != NULL; i++)
        if (folder->files[i].is_made && !folder->files[i].is_published)
            unlinkat(folder->fd, partial_name(folder, i).text, 0);
    bool is_published = folder->files != NULL && folder->count > 0 && folder->files[0].is_published;
    if (folder->is_made && !is_published)
        rmdir(folder->path);
}

void part_folder_close(struct part_folder *folder)
{
    part_folder_abandon(folder);
    for (uint32_t i = 0; i < folder->count && folder->files != NULL; i++)
        fletch_ipc_writer_close(folder->files[i].writer);
    for (size_t i = 0; i < (size_t)folder->slots_each * folder->thread_count; i++)
        if (folder->slots != NULL && folder->slots[i].fd >= 0)
            close(folder->slots[i].fd);
    if (folder->fd >= 0)
        close(folder->fd);
    free(folder->files);
    free(folder->slots);
    folder->files = NULL;
    folder->slots = NULL;
    folder->fd = -1;
}
