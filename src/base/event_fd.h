#ifndef FLETCH_BASE_EVENT_FD_H
#define FLETCH_BASE_EVENT_FD_H

/* A descriptor that epoll can watch and any thread can make readable. */

/* A new non-blocking, close-on-exec eventfd, or -1 with errno set. */
int fletch_event_fd_open(void);

/* Makes it readable. Does nothing where it is so already. Any thread; does not block. */
void fletch_event_fd_signal(int fd);

/* Makes it not readable. Any thread; does not block. */
void fletch_event_fd_drain(int fd);

void fletch_event_fd_close(int fd);

#endif
