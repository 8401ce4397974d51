#include "support/shared_memory.h"

#include <sys/mman.h>
#include <unistd.h>

struct shared_memory shared_memory_map(size_t bytes)
{
    struct shared_memory memory = {.bytes = bytes};
    int fd = memfd_create("fletching-test", MFD_CLOEXEC);
    if (fd < 0)
        return memory;
    if (ftruncate(fd, (off_t)bytes) == 0) {
        void *first = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        void *second = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (first != MAP_FAILED && second != MAP_FAILED) {
            memory.first = first;
            memory.second = second;
        }
    }
    close(fd);
    return memory;
}

void shared_memory_unmap(struct shared_memory *memory)
{
    munmap(memory->first, memory->bytes);
    munmap(memory->second, memory->bytes);
}
