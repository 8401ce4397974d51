# Which platforms fletching runs on: Linux on x86-64 and aarch64, little-endian, glibc 2.28 or
# newer, compiled by gcc or clang. Anything else is refused here, by name. Sets FLETCH_PROCESSOR to
# x86_64 or aarch64, by which src/CMakeLists.txt picks the variants of a file. FLETCH_LIBC and
# FLETCH_BYTE_ORDER can be given, for a cross compiler that cannot be asked.

set(FLETCH_GLIBC_MINIMUM 2.28)

function(fletch_refuse what found wanted)
  message(FATAL_ERROR "fletching does not run on ${what} '${found}': it needs ${wanted}")
endfunction()

# "glibc <major>.<minor>", or "not glibc": what the compiler's headers say.
function(fletch_find_libc out_libc)
  execute_process(COMMAND ${CMAKE_C_COMPILER} -E -dM -include limits.h -x c /dev/null
                  OUTPUT_VARIABLE macros ERROR_QUIET)
  if(NOT macros MATCHES "#define __GLIBC__ ([0-9]+)")
    set(${out_libc} "not glibc" PARENT_SCOPE)
    return()
  endif()
  set(major ${CMAKE_MATCH_1})
  string(REGEX MATCH "#define __GLIBC_MINOR__ ([0-9]+)" unused "${macros}")
  set(${out_libc} "glibc ${major}.${CMAKE_MATCH_1}" PARENT_SCOPE)
endfunction()

if(NOT DEFINED FLETCH_LIBC AND CMAKE_SYSTEM_NAME STREQUAL "Linux")
  fletch_find_libc(found)
  set(FLETCH_LIBC "${found}" CACHE INTERNAL "C library that the compiler's headers belong to")
endif()

if(NOT DEFINED FLETCH_BYTE_ORDER)
  set(FLETCH_BYTE_ORDER ${CMAKE_C_BYTE_ORDER})
endif()

if(NOT CMAKE_C_COMPILER_ID MATCHES "^(GNU|Clang)$")
  fletch_refuse("the compiler" "${CMAKE_C_COMPILER_ID}" "gcc or clang")
endif()
if(NOT CMAKE_SYSTEM_NAME STREQUAL "Linux")
  fletch_refuse("the operating system" "${CMAKE_SYSTEM_NAME}" "Linux")
endif()
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|amd64|AMD64)$")
  set(FLETCH_PROCESSOR x86_64)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
  set(FLETCH_PROCESSOR aarch64)
else()
  fletch_refuse("the processor" "${CMAKE_SYSTEM_PROCESSOR}" "x86-64 or aarch64")
endif()
if(NOT FLETCH_BYTE_ORDER STREQUAL "LITTLE_ENDIAN")
  fletch_refuse("byte order" "${FLETCH_BYTE_ORDER}" "LITTLE_ENDIAN")
endif()
if(NOT CMAKE_SIZEOF_VOID_P EQUAL 8)
  fletch_refuse("pointers of bytes" "${CMAKE_SIZEOF_VOID_P}" "8 bytes")
endif()
string(REGEX REPLACE "^glibc " "" FLETCH_GLIBC_VERSION "${FLETCH_LIBC}")
if(NOT FLETCH_LIBC MATCHES "^glibc " OR FLETCH_GLIBC_VERSION VERSION_LESS FLETCH_GLIBC_MINIMUM)
  fletch_refuse("the C library" "${FLETCH_LIBC}" "glibc ${FLETCH_GLIBC_MINIMUM} or newer")
endif()
