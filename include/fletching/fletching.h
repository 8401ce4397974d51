#ifndef FLETCHING_FLETCHING_H
#define FLETCHING_FLETCHING_H

/** Everything that the library offers. */

#include <fletching/agent.h>
#include <fletching/agent_statistics.h>
#include <fletching/allocator.h>
#include <fletching/answer.h>
#include <fletching/arrow.h>
#include <fletching/batch.h>
#include <fletching/batch_slice.h>
#include <fletching/batch_slot.h>
#include <fletching/broadcast_consumer.h>
#include <fletching/broadcast_ring.h>
#include <fletching/budget.h>
#include <fletching/buffer.h>
#include <fletching/buffer_pool.h>
#include <fletching/epoch.h>
#include <fletching/eventcount.h>
#include <fletching/export.h>
#include <fletching/fan_in.h>
#include <fletching/flight.h>
#include <fletching/flight_auth.h>
#include <fletching/flight_client.h>
#include <fletching/flight_server.h>
#include <fletching/flight_stream.h>
#include <fletching/flight_types.h>
#include <fletching/flow.h>
#include <fletching/flow_stage.h>
#include <fletching/inbox.h>
#include <fletching/ipc.h>
#include <fletching/ipc_reader.h>
#include <fletching/ipc_relay.h>
#include <fletching/ipc_writer.h>
#include <fletching/mpsc_queue.h>
#include <fletching/partition.h>
#include <fletching/partition_store.h>
#include <fletching/partition_writer.h>
#include <fletching/placement.h>
#include <fletching/range_sample.h>
#include <fletching/ring.h>
#include <fletching/runtime.h>
#include <fletching/schema.h>
#include <fletching/shuffle.h>
#include <fletching/shuffle_reader.h>
#include <fletching/shuffle_writer.h>
#include <fletching/spsc_ring.h>
#include <fletching/status.h>
#include <fletching/store_scan.h>
#include <fletching/transport.h>
#include <fletching/validation.h>
#include <fletching/version.h>
#include <fletching/wait.h>
#include <fletching/window.h>
#include <fletching/window_stage.h>

#endif
