#ifndef FLETCH_SERVICE_CLIENT_REPORT_H
#define FLETCH_SERVICE_CLIENT_REPORT_H

/* What the action "report" answers, as structs. */

#include <fletching/flight_types.h>
#include <fletching/shuffle_client.h>

struct fletch_client_reports;

/* NULL: no memory. */
struct fletch_client_reports *fletch_client_reports_start(void);

/* One answer. INVALID_ARGUMENT: it is no report; RESOURCE_EXHAUSTED: no memory. */
enum fletch_status fletch_client_reports_add(struct fletch_client_reports *reports,
                                             struct fletch_flight_bytes answer,
                                             struct fletch_error *error);

/* All of them; the reports go with what is written, to fletch_shuffle_reports_release. On failure
 * they stay. */
enum fletch_status fletch_client_reports_finish(struct fletch_client_reports *reports,
                                                struct fletch_shuffle_reports *out_reports,
                                                struct fletch_error *error);

/* Of those that were not finished. */
void fletch_client_reports_drop(struct fletch_client_reports *reports);

#endif
