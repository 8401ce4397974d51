# Model checking: functions that build harnesses with the checker (checker/) and mutations of the
# library (mutants/). Label: model; what takes longer has the label deep too.

set(MODEL_INCLUDES ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include
                   ${CMAKE_CURRENT_SOURCE_DIR})
# How code under check is compiled, whatever the preset. Its copying functions get names of their
# own, since the checker that it is linked with uses them too.
set(MODEL_CHECKED_OPTIONS
    -std=c17 -fsanitize=thread -O1 -g -fno-pie -fcf-protection=none -fno-stack-protector
    -U_FORTIFY_SOURCE -Wno-tsan -Dmemcpy=mc_memcpy -Dmemmove=mc_memmove -Dmemset=mc_memset
    -DFLETCH_MODEL_CHECK)
set(MODEL_WRAPPED pthread_create pthread_join pthread_mutex_lock pthread_mutex_unlock malloc calloc
                  aligned_alloc free __assert_fail)
list(TRANSFORM MODEL_WRAPPED PREPEND -Wl,--wrap= OUTPUT_VARIABLE MODEL_LINK_OPTIONS)
list(APPEND MODEL_LINK_OPTIONS -no-pie)

function(model_checked_target target)
  # Configurations compare macros that may be 0.
  target_compile_options(${target} PRIVATE ${FLETCH_WARNINGS} -Wno-type-limits
                         ${MODEL_CHECKED_OPTIONS})
  target_include_directories(${target} PRIVATE ${MODEL_INCLUDES})
  set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
endfunction()

# The library as it is checked: without those files of src/base that the checker stands in for.
set(MODEL_LIBRARY_SOURCES
    base/allocator.c base/clock.c base/options.c base/process.c base/status.c
    flight/connection_pool.c flow/agent_reply.c
    memory/budget.c memory/budget_order.c memory/budget_report.c memory/buffer.c
    memory/buffer_pool.c memory/buffer_region.c memory/node_stack.c shuffle/barriers.c
    shuffle/coordinator.c shuffle/credit.c shuffle/credit_order.c shuffle/ready_list.c
    shuffle/watermarks.c sync/broadcast_consumer.c sync/broadcast_ring.c sync/broadcast_seat.c
    sync/epoch.c sync/eventcount.c sync/fan_in.c sync/inbox.c sync/lane_set.c sync/mpsc_queue.c
    sync/partition_store.c sync/placement.c sync/ring.c sync/serial.c sync/spsc_ring.c
    sync/store_pool.c sync/store_scan.c sync/store_table.c sync/store_value.c sync/wait.c)
list(TRANSFORM MODEL_LIBRARY_SOURCES PREPEND ${PROJECT_SOURCE_DIR}/src/
     OUTPUT_VARIABLE MODEL_LIBRARY_FILES)
add_library(model_library STATIC ${MODEL_LIBRARY_FILES} event_fd_model.c pages_model.c)
model_checked_target(model_library)

# fletch_add_model(<structure> <configuration> [DEFINES <macro>...] [DEEP] [TIMEOUT <seconds>]
#                  [ARGS <argument of the checker>...])
#
# Builds model_<structure>.c with the library and the checker, and runs every execution of it, or
# those that ARGS say.
function(fletch_add_model structure configuration)
  cmake_parse_arguments(PARSE_ARGV 2 arg "DEEP" "TIMEOUT" "DEFINES;ARGS")
  set(labels model)
  set(timeout 120)
  if(arg_DEEP)
    list(APPEND labels deep)
    set(timeout 7200)
  endif()
  if(arg_TIMEOUT)
    set(timeout ${arg_TIMEOUT})
  endif()
  set(target checked_${structure}_${configuration})
  add_executable(${target} model_${structure}.c)
  model_checked_target(${target})
  target_compile_definitions(${target} PRIVATE ${arg_DEFINES})
  target_link_options(${target} PRIVATE ${MODEL_LINK_OPTIONS})
  target_link_libraries(${target} PRIVATE model_library model_checker)
  fletch_register_test(model/checked/${structure}/${configuration} LABELS ${labels}
    TIMEOUT ${timeout} COMMAND $<TARGET_FILE:${target}> ${arg_ARGS})
endfunction()

# fletch_add_model_mutants(<structure> [TIMEOUT <seconds>] [EVERY <n>])
#
# Shows that each mutation of mutants/<structure>.txt is caught, and that nothing is reported
# without it; with EVERY, each n-th of them, and all in a run of the label `deep`. FLETCH_BUG=<n> in
# the environment picks one.
function(fletch_add_model_mutants structure)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "TIMEOUT;EVERY" "")
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 300)
  endif()
  set(mutate Python3::Interpreter ${CMAKE_CURRENT_SOURCE_DIR}/mutate.py ${structure}
             --build ${CMAKE_CURRENT_BINARY_DIR}/mutants)
  if(arg_EVERY)
    fletch_register_test(model/mutants/${structure}/deep LABELS model deep TIMEOUT 3600
                         COMMAND ${mutate})
    list(APPEND mutate --every ${arg_EVERY})
  endif()
  fletch_register_test(model/mutants/${structure} LABELS model TIMEOUT ${arg_TIMEOUT}
                       COMMAND ${mutate})
endfunction()

# What mutate.py needs to build as this file does.
list(JOIN MODEL_CHECKED_OPTIONS " " model_compile)
list(JOIN MODEL_LINK_OPTIONS " " model_link)
list(JOIN MODEL_LIBRARY_SOURCES " " model_sources_named)
file(GENERATE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/mutants/build.txt CONTENT
"compiler = ${CMAKE_C_COMPILER}
compile = ${model_compile}
link = ${model_link}
sources = ${model_sources_named}
library = $<TARGET_FILE:model_library>
checker = $<TARGET_FILE:model_checker>
")

add_subdirectory(checker)
include(models.cmake)
