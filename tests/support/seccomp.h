#ifndef FLETCH_TESTS_SUPPORT_SECCOMP_H
#define FLETCH_TESTS_SUPPORT_SECCOMP_H

#include <stdbool.h>
#include <stdint.h>

/* Makes system calls fail, as on a system that does not offer them. There is no way back, so it is
 * for child processes. */

/* What a refused call's first argument must be. */
#define SECCOMP_ANY_ARGUMENT UINT32_MAX

/* From now on the calls of the calling thread, and of threads that it starts, to `number` whose
 * first argument is `argument` fail with `error_number`. False: the system does not let us. */
bool seccomp_refuse(uint32_t number, uint32_t argument, uint16_t error_number);

#endif
