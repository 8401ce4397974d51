#ifndef FLETCHING_FLETCHING_H
#define FLETCHING_FLETCHING_H

/** Everything that the library offers. */

#include <fletching/allocator.h>
#include <fletching/answer.h>
#include <fletching/epoch.h>
#include <fletching/eventcount.h>
#include <fletching/export.h>
#include <fletching/inbox.h>
#include <fletching/mpsc_queue.h>
#include <fletching/partition_store.h>
#include <fletching/ring.h>
#include <fletching/spsc_ring.h>
#include <fletching/status.h>
#include <fletching/store_scan.h>
#include <fletching/version.h>
#include <fletching/wait.h>

#endif
