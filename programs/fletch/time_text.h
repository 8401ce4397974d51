#ifndef FLETCH_PROGRAM_TIME_TEXT_H
#define FLETCH_PROGRAM_TIME_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "text.h"

/* Dates and times of the Gregorian calendar, as ISO 8601 writes them, and their stored counts. */

/* Fractions of a second that a unit ('s', 'm', 'u', 'n') counts in one; 0: no unit. */
int64_t time_unit_per_second(char unit);

/* Days since 1970-01-01 as "2013-01-31". */
void time_text_date(struct text *text, int64_t days);
/* Units since midnight as "23:59:59.123456". */
void time_text_of_day(struct text *text, int64_t count, char unit);
/* Units since 1970-01-01 00:00:00 as "2013-01-31T23:59:59.123456", and a Z behind it. */
void time_text_stamp(struct text *text, int64_t count, char unit, bool is_utc);

/* The other way round, all of `word`. False: it is none, or its fraction is too fine. */
bool time_parse_date(const char *word, int64_t *out_days);
bool time_parse_of_day(const char *word, char unit, int64_t *out_count);
/* With 'T' or a space between; a Z at the end is allowed. */
bool time_parse_stamp(const char *word, char unit, int64_t *out_count);

#endif
