#ifndef FLETCH_BASE_STATUS_H
#define FLETCH_BASE_STATUS_H

/* Failing functions end with `return fletch_error_set(...)`. Messages are lower case, quote values,
 * and say what was expected and what was found. */

#include <fletching/status.h>

#endif
