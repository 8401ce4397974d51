#include <fletching/version.h>

#define TEXT_OF(number) #number
#define TEXT(number) TEXT_OF(number)

const char *fletch_version(void)
{
    return TEXT(FLETCH_VERSION_MAJOR) "." TEXT(FLETCH_VERSION_MINOR) "." TEXT(FLETCH_VERSION_PATCH);
}
