#ifndef FLETCH_HTTP2_HTTP2_LINK_H
#define FLETCH_HTTP2_HTTP2_LINK_H

#include <stdbool.h>
#include <stddef.h>

/* A place in a circular list, which its element brings along; the list itself is one too. One that
 * is in no list is linked to itself. */
struct fletch_http2_link {
    struct fletch_http2_link *next;
    struct fletch_http2_link *previous;
};

#define FLETCH_HTTP2_OF_LINK(link, type, member) \
    ((type *)(void *)((char *)(link)-offsetof(type, member)))

static inline void fletch_http2_link_init(struct fletch_http2_link *link)
{
    link->next = link;
    link->previous = link;
}

static inline bool fletch_http2_link_is_alone(const struct fletch_http2_link *link)
{
    return link->next == link;
}

static inline void fletch_http2_link_remove(struct fletch_http2_link *link)
{
    link->previous->next = link->next;
    link->next->previous = link->previous;
    fletch_http2_link_init(link);
}

/* At the end of `list`, unless it is in a list already. */
static inline void fletch_http2_link_append(struct fletch_http2_link *list,
                                            struct fletch_http2_link *link)
{
    if (!fletch_http2_link_is_alone(link))
        return;
    link->previous = list->previous;
    link->next = list;
    list->previous->next = link;
    list->previous = link;
}

#endif
