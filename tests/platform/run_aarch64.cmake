# Compiles the kernels with kernels_aarch64.c by a cross compiler, without the rest of the library,
# and runs them.

find_program(compiler aarch64-linux-gnu-gcc)
find_program(emulator NAMES qemu-aarch64 qemu-aarch64-static)
if(NOT compiler OR NOT emulator)
  message("skipped: aarch64-linux-gnu-gcc or qemu-aarch64 is not there")
  return()
endif()
set(partition ${SOURCE}/src/partition)
set(program ${BINARY}/kernels_aarch64)
execute_process(
  COMMAND ${compiler} -std=c17 -O2 -Wall -Wextra -Werror -static -I${SOURCE}/src
          -I${SOURCE}/include -o ${program} ${SOURCE}/tests/platform/kernels_aarch64.c
          ${partition}/gather.c ${partition}/gather_aarch64.c ${partition}/gather_neon.c
          ${partition}/gather_scalar.c ${partition}/hash_kernels_aarch64.c
          ${partition}/hash_neon.c ${partition}/hash_scalar.c
          ${SOURCE}/src/base/cpu_features_aarch64.c
  COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${emulator} ${program} COMMAND_ERROR_IS_FATAL ANY)
