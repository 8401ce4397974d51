#include "fiber.h"

#include <link.h>
#include <string.h>

#include "report.h"

enum { LOCAL_BYTES_MAX = 4096 };

struct fiber {
    void *stack_pointer;
    char local[LOCAL_BYTES_MAX];
};

static struct fiber fiber[MC_THREADS + 1];
static int current = MC_FIBER_SEARCH;
/* The program's thread-local block, where the one system thread has it. */
static char *local_block;
static size_t local_bytes;
static const char *local_image;
static size_t local_image_bytes;

/* Saves what a called function must save, changes the stack, and returns on it. */
__asm__(".text\n"
        ".globl mc_stack_switch\n"
        "mc_stack_switch:\n"
        " push %rbp\n push %rbx\n push %r12\n push %r13\n push %r14\n push %r15\n"
        " mov %rsp, (%rdi)\n"
        " mov %rsi, %rsp\n"
        " pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbx\n pop %rbp\n"
        " ret\n");
void mc_stack_switch(void **from, void *to);

/* The program itself is the first object; on x86-64 its block ends at the thread pointer. */
static int find_local(struct dl_phdr_info *info, size_t size, void *unused)
{
    (void)size;
    (void)unused;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        if (header->p_type != PT_TLS)
            continue;
        local_image = (const char *)(info->dlpi_addr + header->p_vaddr);
        local_image_bytes = header->p_filesz;
        local_bytes = (header->p_memsz + header->p_align - 1) & ~(header->p_align - 1);
        local_block = (char *)__builtin_thread_pointer() - local_bytes;
    }
    return 1;
}

void mc_fiber_start(void)
{
    dl_iterate_phdr(find_local, NULL);
    if (local_bytes > LOCAL_BYTES_MAX)
        mc_internal("%zu bytes of thread-local variables", local_bytes);
}

bool mc_fiber_is_local(uintptr_t address)
{
    uintptr_t low = (uintptr_t)local_block;
    return local_bytes > 0 && address >= low && address < low + local_bytes;
}

void mc_fiber_make(int number, char *stack, size_t bytes, void (*run)(void))
{
    uintptr_t *top = (uintptr_t *)(void *)(stack + bytes);
    *--top = 0;
    *--top = (uintptr_t)run;
    for (int i = 0; i < 6; i++)
        *--top = 0;
    fiber[number].stack_pointer = top;
    memset(fiber[number].local, 0, local_bytes);
    if (local_bytes > 0)
        memcpy(fiber[number].local, local_image, local_image_bytes);
}

int mc_fiber_current(void)
{
    return current;
}

void mc_fiber_switch(int number)
{
    int from = current;
    if (local_bytes > 0) {
        memcpy(fiber[from].local, local_block, local_bytes);
        memcpy(local_block, fiber[number].local, local_bytes);
    }
    current = number;
    mc_stack_switch(&fiber[from].stack_pointer, fiber[number].stack_pointer);
}
