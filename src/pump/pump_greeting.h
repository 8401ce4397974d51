#ifndef FLETCH_PUMP_PUMP_GREETING_H
#define FLETCH_PUMP_PUMP_GREETING_H

/* How two processes find out whether they speak of the same shuffle: HELLO and what is answered. */

#include "pump/pump_session.h"

/* What a dialler says. Its texts lie in the shuffle. */
void fletch_greeting_hello(const struct fletch_pump_session *session,
                           struct fletch_envelope *out_envelope);

/* What is answered to a HELLO that was found right. */
void fletch_greeting_welcome(const struct fletch_pump_session *session,
                             const struct fletch_envelope_hello *hello,
                             struct fletch_envelope *out_envelope);

/* Whether who says this may be answered at all, by a process of that incarnation. UNIMPLEMENTED: no
 * common version, or an unknown feature is mandatory; UNAVAILABLE: "LOST": another incarnation was
 * expected. */
enum fletch_status fletch_greeting_check_peer(const struct fletch_session_rules *rules,
                                              const struct fletch_envelope_hello *hello,
                                              struct fletch_error *error);

/* Whether it is this shuffle, in the same shape. FAILED_PRECONDITION: names what differs: ID,
 * EPOCH, SCHEMA and so on. */
enum fletch_status fletch_greeting_check_shuffle(const struct fletch_shuffle *shuffle,
                                                 const struct fletch_envelope_hello *hello,
                                                 struct fletch_error *error);

/* A dialler's look at the answer. UNIMPLEMENTED; UNAVAILABLE: "LOST": it is another incarnation
 * than before. */
enum fletch_status fletch_greeting_check_welcome(const struct fletch_pump_session *session,
                                                 const struct fletch_envelope_welcome *welcome,
                                                 struct fletch_error *error);

#endif
