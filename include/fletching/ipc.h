#ifndef FLETCHING_IPC_H
#define FLETCHING_IPC_H

/** Arrow IPC, both ways. */

#include <fletching/ipc_reader.h>
#include <fletching/ipc_relay.h>
#include <fletching/ipc_writer.h>

#endif
