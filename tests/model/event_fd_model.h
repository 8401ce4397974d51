#ifndef EVENT_FD_MODEL_H
#define EVENT_FD_MODEL_H

/* base/event_fd.h for harnesses: descriptors are numbers of flags that threads can wait for. */

#include "base/event_fd.h"

/* At the beginning of an execution. */
void event_fd_model_begin(void);

/* As a watcher adds it to its set: it must be open. */
void event_fd_model_watch(int fd);

/* Until it is readable, as poll would. */
void event_fd_model_wait(int fd);

#endif
