#ifndef FLETCH_ARROW_C_SCHEMA_H
#define FLETCH_ARROW_C_SCHEMA_H

/* Schemas by the C data interface: see fletching/arrow.h. */

#include <fletching/arrow.h>

#include "arrow/schema.h"

#endif
