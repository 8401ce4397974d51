#ifndef FLETCH_ARROW_C_STREAM_H
#define FLETCH_ARROW_C_STREAM_H

/* Streams of batches by the C stream interface: see fletching/arrow.h. */

#include <fletching/arrow.h>

#endif
