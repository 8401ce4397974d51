# fletch_target_options(<target>): language standard, warnings, sanitizers, coverage and hardening,
# the same for everything that this project compiles. Properties of the target, never global flags.

set(FLETCH_WARNINGS
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wundef -Wvla -Wcast-align
    $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes>
    $<$<COMPILE_LANGUAGE:C>:-Wmissing-prototypes>)

set(FLETCH_HARDENING -fstack-protector-strong)
if(FLETCH_PROCESSOR STREQUAL "x86_64")
  list(APPEND FLETCH_HARDENING -fcf-protection=full)
else()
  list(APPEND FLETCH_HARDENING -mbranch-protection=standard)
endif()

# Debug builds run sanitizers: -O1 keeps them bearable and their stacks readable.
set(FLETCH_OPTIMIZED $<CONFIG:Release,RelWithDebInfo,MinSizeRel>)

function(fletch_target_options target)
  set_target_properties(${target} PROPERTIES
    C_STANDARD 17 C_STANDARD_REQUIRED ON C_EXTENSIONS OFF
    CXX_STANDARD 17 CXX_STANDARD_REQUIRED ON CXX_EXTENSIONS OFF
    C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden)
  target_compile_options(${target} PRIVATE ${FLETCH_WARNINGS} ${FLETCH_HARDENING}
                         $<$<CONFIG:Debug>:-O1> $<$<CONFIG:Debug>:-fno-omit-frame-pointer>)
  target_link_options(${target} PRIVATE LINKER:-z,relro LINKER:-z,now)
  if(FLETCH_CHECKS)
    target_compile_definitions(${target} PRIVATE FLETCH_CHECKS=1)
  endif()
  if(FLETCH_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${FLETCH_SANITIZE}
                           -fno-sanitize-recover=all
                           # Clang's finds that null + 0 is undefined before C2y, too: the address
                           # of no element of no array, which nobody follows.
                           $<$<C_COMPILER_ID:Clang>:-fno-sanitize=pointer-overflow>)
    target_link_options(${target} PRIVATE -fsanitize=${FLETCH_SANITIZE})
    # ThreadSanitizer does not see fences, and gcc says so. Ours publish no data (they only order an
    # announcement against a look), so there is nothing for it to miss.
    target_compile_options(${target} PRIVATE $<$<C_COMPILER_ID:GNU>:-Wno-tsan>)
  else()
    # The sanitizers' own interceptors and fortified calls do not go together.
    target_compile_options(${target} PRIVATE
                           "$<${FLETCH_OPTIMIZED}:SHELL:-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2>")
  endif()
  if(FLETCH_COVERAGE)
    # Counters are shared by threads, and code runs in forked children too.
    target_compile_options(${target} PRIVATE --coverage -fprofile-update=atomic)
    target_link_options(${target} PRIVATE --coverage)
  endif()
endfunction()
