#ifndef FLETCH_SHUFFLE_MEDIA_H
#define FLETCH_SHUFFLE_MEDIA_H

/* What takes a transport's shuffles to other processes: a table of functions that is installed in
 * the transport before any shuffle needs it. Without one, shuffles with partitions elsewhere are
 * refused. */

#include <fletching/status.h>

#include <stdbool.h>
#include <stdint.h>

struct fletch_shuffle;
struct fletch_transport;

struct fletch_media {
    /* A shuffle with partitions of other processes is about to be registered: nobody knows it yet.
     * Opens an outlet for each process that owns some (push). On failure it is not registered, and
     * whatever was opened for it is closed by this call. May not block for a peer. */
    enum fletch_status (*attach)(void *context, struct fletch_shuffle *shuffle,
                                 struct fletch_error *error);
    /* It is registered: from now on the other side finds it here. */
    void (*begin)(void *context, struct fletch_shuffle *shuffle);
    /* Pull: a reader was opened for these partitions, of which producers of other processes have
     * frames. Not called twice for one partition. On failure the reader is not opened. */
    enum fletch_status (*claim)(void *context, struct fletch_shuffle *shuffle,
                                const uint32_t *partitions, uint32_t count,
                                struct fletch_error *error);
    /* It was closed, or could not be registered after all: closes the outlets and inlets of it soon.
     * Once for each attach that succeeded. Any thread; may not block. */
    void (*detach)(void *context, struct fletch_shuffle *shuffle);
    void *context;
};

/* Installs the media of a transport; `media` outlives it, or is taken out again with NULL when no
 * shuffle of the transport is attached any more. False: there is one. One thread, before others use
 * the transport. */
bool fletch_transport_install_media(struct fletch_transport *transport,
                                    const struct fletch_media *media);

#endif
