#ifndef FLETCHING_VERSION_H
#define FLETCHING_VERSION_H

#include <fletching/export.h>

#define FLETCH_VERSION_MAJOR 0
#define FLETCH_VERSION_MINOR 1
#define FLETCH_VERSION_PATCH 0

FLETCH_BEGIN_DECLS

/** Version of the library that is loaded, as "major.minor.patch". The macros above tell the version
 *  that the caller was compiled against. Static storage. Any thread; cannot fail. */
FLETCH_EXPORT const char *fletch_version(void);

FLETCH_END_DECLS

#endif
