#ifndef FLETCH_BASE_STATUS_H
#define FLETCH_BASE_STATUS_H

#include <fletching/status.h>

/* Writes `status` and the formatted message into `error`, unless that is NULL, and returns
 * `status`, so that a failing function ends with `return fletch_error_set(…)`. Messages are
 * lower case, quote values, and say what was expected and what was found. Any thread; does not
 * allocate. */
enum fletch_status fletch_error_set(struct fletch_error *error, enum fletch_status status,
                                    const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
