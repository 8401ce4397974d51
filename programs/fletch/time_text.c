#include "time_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { DAY_SECONDS = 86400 };

int64_t time_unit_per_second(char unit)
{
    switch (unit) {
    case 's':
        return 1;
    case 'm':
        return 1000;
    case 'u':
        return 1000000;
    case 'n':
        return 1000000000;
    default:
        return 0;
    }
}

static int64_t floor_divide(int64_t number, int64_t by)
{
    int64_t quotient = number / by;
    return quotient - (number % by < 0);
}

/* Years that begin with March, so that the leap day is the last one: Howard Hinnant's method. */
void time_text_date(struct text *text, int64_t days)
{
    int64_t shifted = days > INT64_MAX - 719468 ? days : days + 719468;
    int64_t era = floor_divide(shifted, 146097);
    int64_t day_of_era = shifted - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * day_of_year + 2) / 153;
    int64_t day = day_of_year - (153 * month + 2) / 5 + 1;
    month = month < 10 ? month + 3 : month - 9;
    int64_t year = year_of_era + era * 400 + (month <= 2);
    text_print(text, "%s%04" PRId64 "-%02" PRId64 "-%02" PRId64, year < 0 ? "-" : "",
               year < 0 ? -year : year, month, day);
}

static void print_of_day(struct text *text, int64_t seconds, int64_t fraction, char unit)
{
    text_print(text, "%02" PRId64 ":%02" PRId64 ":%02" PRId64, seconds / 3600, seconds / 60 % 60,
               seconds % 60);
    if (unit != 's')
        text_print(text, ".%0*" PRId64, unit == 'm' ? 3 : unit == 'u' ? 6 : 9, fraction);
}

void time_text_of_day(struct text *text, int64_t count, char unit)
{
    int64_t per_second = time_unit_per_second(unit);
    int64_t seconds = floor_divide(count, per_second);
    print_of_day(text, seconds, count - seconds * per_second, unit);
}

void time_text_stamp(struct text *text, int64_t count, char unit, bool is_utc)
{
    int64_t per_second = time_unit_per_second(unit);
    int64_t seconds = floor_divide(count, per_second);
    int64_t days = floor_divide(seconds, DAY_SECONDS);
    time_text_date(text, days);
    text_word(text, "T");
    print_of_day(text, seconds - days * DAY_SECONDS, count - seconds * per_second, unit);
    if (is_utc)
        text_word(text, "Z");
}

static bool is_leap(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* The date that `word` begins with; NULL: none. */
static const char *take_date(const char *word, int64_t *out_days)
{
    static const int month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year, month, day, end = 0;
    if (sscanf(word, "%5d-%2d-%2d%n", &year, &month, &day, &end) != 3 || end == 0)
        return NULL;
    if (month < 1 || month > 12 || day < 1 ||
        day > month_days[month - 1] + (month == 2 && is_leap(year)))
        return NULL;
    int64_t shifted = (int64_t)year - (month <= 2);
    int64_t era = floor_divide(shifted, 400);
    int64_t year_of_era = shifted - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    *out_days = era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 +
                day_of_year - 719468;
    return word + end;
}

/* The time of day that `word` begins with; NULL: none. */
static const char *take_of_day(const char *word, char unit, int64_t *out_count)
{
    int hour, minute, second = 0, end = 0;
    if (sscanf(word, "%2d:%2d%n", &hour, &minute, &end) != 2 || end == 0)
        return NULL;
    word += end;
    if (sscanf(word, ":%2d%n", &second, &end) == 1)
        word += end;
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59)
        return NULL;
    int64_t count = (hour * 60 + minute) * 60 + second;
    int64_t fraction = 0, scale = 1, per_second = time_unit_per_second(unit);
    if (*word == '.')
        for (word++; *word >= '0' && *word <= '9'; word++) {
            if (scale >= per_second && *word != '0')
                return NULL;
            if (scale < per_second) {
                scale *= 10;
                fraction = fraction * 10 + (*word - '0');
            }
        }
    *out_count = count * per_second + fraction * (per_second / scale);
    return word;
}

bool time_parse_date(const char *word, int64_t *out_days)
{
    const char *end = take_date(word, out_days);
    return end != NULL && *end == '\0';
}

bool time_parse_of_day(const char *word, char unit, int64_t *out_count)
{
    const char *end = take_of_day(word, unit, out_count);
    return end != NULL && *end == '\0';
}

bool time_parse_stamp(const char *word, char unit, int64_t *out_count)
{
    int64_t days, of_day = 0;
    const char *end = take_date(word, &days);
    if (end != NULL && (*end == 'T' || *end == ' '))
        end = take_of_day(end + 1, unit, &of_day);
    if (end != NULL && *end == 'Z')
        end++;
    if (end == NULL || *end != '\0')
        return false;
    int64_t per_day = DAY_SECONDS * time_unit_per_second(unit);
    if (days > INT64_MAX / per_day - 1 || days < INT64_MIN / per_day + 1)
        return false;
    *out_count = days * per_day + of_day;
    return true;
}
