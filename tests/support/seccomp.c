#include "support/seccomp.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>

#define LOAD(field) \
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, field))
#define SKIP_UNLESS(value, instructions) \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 0, (instructions))
#define ANSWER(value) BPF_STMT(BPF_RET | BPF_K, (value))

static bool install(struct sock_filter *filter, unsigned short length)
{
    struct sock_fprog program = {.len = length, .filter = filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

bool seccomp_refuse(uint32_t number, uint32_t argument, uint16_t error_number)
{
    struct sock_filter any[] = {
        LOAD(nr),
        SKIP_UNLESS(number, 1),
        ANSWER(SECCOMP_RET_ERRNO | error_number),
        ANSWER(SECCOMP_RET_ALLOW),
    };
    /* The low half of the argument: both processors are little-endian. */
    struct sock_filter one[] = {
        LOAD(nr),
        SKIP_UNLESS(number, 3),
        LOAD(args[0]),
        SKIP_UNLESS(argument, 1),
        ANSWER(SECCOMP_RET_ERRNO | error_number),
        ANSWER(SECCOMP_RET_ALLOW),
    };
    if (argument == SECCOMP_ANY_ARGUMENT)
        return install(any, sizeof any / sizeof any[0]);
    return install(one, sizeof one / sizeof one[0]);
}
