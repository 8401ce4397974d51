#include <fletching/ipc_relay.h>

void fletch_ipc_relayed_release(struct fletch_buffer_cache *cache,
                                struct fletch_ipc_relayed *message)
{
    fletch_buffer_release(cache, message->metadata);
    fletch_buffer_release(cache, message->body);
    message->metadata = NULL;
    message->body = NULL;
}
