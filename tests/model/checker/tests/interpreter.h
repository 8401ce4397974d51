#ifndef MC_INTERPRETER_H
#define MC_INTERPRETER_H

/* Tiny programs as text, run under the checker: threads separated by '|', operations by blanks.
 *   W<place><order><value>   write          R<place><order><register>  read
 *   A<place><order><register> add one        X<place><order><register>  exchange with 7
 *   C<place><order><register> compare-exchange 0 to 5 (the register gets what was found)
 *   K<place><order><register> the same, weak
 *   F<order>  fence    L  light half, H  heavy half of an asymmetric pair
 * Places x, y, z; orders . relaxed, a acquire, r release, b both, s seq_cst; values and registers
 * are one digit. All begin as 0. */

#include <stdint.h>

#include "../checker.h"

enum { REGISTERS = 8, PLACES = 3 };

/* Explores the program; outcomes have four bits for each register, then for each place at the end.
 */
void run_program(const char *text, enum mc_mode mode, struct mc_result *result);

/* What register or place number `i` (places behind registers) holds in an outcome. */
static inline int part_of(uint64_t outcome, int i)
{
    return (int)(outcome >> (4 * i) & 15);
}

#endif
