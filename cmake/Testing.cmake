# fletch_add_test(<file.c> LABEL <label> [ARGS <arg>...] [TIMEOUT <seconds>]
#                 [DEEP_ARGS <arg>...] [DEEP_TIMEOUT <seconds>])
#
# Builds <file.c>, which lies in the calling folder, with cmocka and the static library, and runs it
# as one test. The private headers of src/ and the files of tests/support can be included. LABEL is
# unit, stress, litmus, fault or integration. The default TIMEOUT is 60 s, that of stress and litmus
# tests 180 s. DEEP_ARGS adds a second run with the label `deep`, which `make test` leaves out. An
# exit status of 77 means skipped.
#
# fletch_add_python_test(<file.py> LABEL <label> [ARGS <arg>...] [TIMEOUT <seconds>])
#
# Runs <file.py> with the Python of build/venv (scripts/install-python.sh), or the one that was
# found where there is none. FLETCH_LIBRARY is the shared library's path; modules are found in
# tests/support. Not under ThreadSanitizer, to which other libraries' threads look like races.
#
# fletch_add_program_test(<file.py> [TIMEOUT <seconds>])
#
# Runs <file.py> as above, with the label integration; FLETCH_PROGRAM is the path of the command
# fletch. Also under ThreadSanitizer: the command runs in a process of its own.
#
# fletch_register_test(<name> LABELS <label>... TIMEOUT <seconds> COMMAND <command> [<arg>...])
#
# Registers any command as a test, with the environment and the labels' rules of the others.

set(FLETCH_TEST_LABELS unit stress litmus fault integration)
# These want the processors for themselves: threads that never meet find nothing.
set(FLETCH_SERIAL_LABELS stress litmus)

set(FLETCH_TEST_ENVIRONMENT
    ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1
    UBSAN_OPTIONS=print_stacktrace=1
    TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1)

# ThreadSanitizer of gcc 12 cannot live with the widest address randomisation of newer kernels.
set(FLETCH_TEST_LAUNCHER "")
if(FLETCH_SANITIZE MATCHES "thread")
  execute_process(COMMAND setarch -R true RESULT_VARIABLE setarch_failure ERROR_QUIET)
  if(setarch_failure EQUAL 0)
    set(FLETCH_TEST_LAUNCHER setarch -R)
  endif()
endif()

function(fletch_register_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "TIMEOUT" "COMMAND;LABELS")
  add_test(NAME ${name} COMMAND ${arg_COMMAND})
  set_tests_properties(${name} PROPERTIES LABELS "${arg_LABELS}" TIMEOUT ${arg_TIMEOUT}
                       ENVIRONMENT "${FLETCH_TEST_ENVIRONMENT}" SKIP_RETURN_CODE 77)
  foreach(label IN LISTS arg_LABELS)
    if(label IN_LIST FLETCH_SERIAL_LABELS)
      set_tests_properties(${name} PROPERTIES RUN_SERIAL ON)
    endif()
  endforeach()
endfunction()

function(fletch_add_test file)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "LABEL;TIMEOUT;DEEP_TIMEOUT" "ARGS;DEEP_ARGS")
  if(NOT arg_LABEL IN_LIST FLETCH_TEST_LABELS)
    message(FATAL_ERROR "${file}: label '${arg_LABEL}' is not one of ${FLETCH_TEST_LABELS}")
  endif()
  if(NOT EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${file})
    message(FATAL_ERROR "${CMAKE_CURRENT_SOURCE_DIR}/${file} is listed and does not exist")
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 60)
    if(arg_LABEL IN_LIST FLETCH_SERIAL_LABELS)
      set(arg_TIMEOUT 180)
    endif()
  endif()
  if(NOT arg_DEEP_TIMEOUT)
    set(arg_DEEP_TIMEOUT 3600)
  endif()

  cmake_path(GET file STEM target)
  cmake_path(RELATIVE_PATH CMAKE_CURRENT_SOURCE_DIR BASE_DIRECTORY ${PROJECT_SOURCE_DIR}/tests
             OUTPUT_VARIABLE folder)
  add_executable(${target} ${file})
  fletch_target_options(${target})
  target_compile_definitions(${target} PRIVATE _GNU_SOURCE)
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/src
                             ${PROJECT_SOURCE_DIR}/tests)
  target_link_libraries(${target} PRIVATE fletch_test_support fletching_static PkgConfig::cmocka)
  fletch_register_test(${folder}/${target} LABELS ${arg_LABEL} TIMEOUT ${arg_TIMEOUT}
    COMMAND ${FLETCH_TEST_LAUNCHER} $<TARGET_FILE:${target}> ${arg_ARGS})
  if(arg_DEEP_ARGS)
    fletch_register_test(${folder}/${target}/deep LABELS ${arg_LABEL} deep
      TIMEOUT ${arg_DEEP_TIMEOUT}
      COMMAND ${FLETCH_TEST_LAUNCHER} $<TARGET_FILE:${target}> ${arg_DEEP_ARGS})
  endif()
endfunction()

# What a library with AddressSanitizer wants to find in a process that has none: its runtime first,
# and the C++ one, whose exceptions it watches.
set(FLETCH_PYTHON_PRELOAD "")
if(FLETCH_SANITIZE MATCHES "address")
  foreach(runtime IN ITEMS libasan.so libstdc++.so.6)
    execute_process(COMMAND ${CMAKE_C_COMPILER} -print-file-name=${runtime}
                    OUTPUT_VARIABLE runtime OUTPUT_STRIP_TRAILING_WHITESPACE)
    string(APPEND FLETCH_PYTHON_PRELOAD "${runtime} ")
  endforeach()
endif()

function(fletch_add_python_test file)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "LABEL;TIMEOUT" "ARGS")
  if(FLETCH_SANITIZE MATCHES "thread")
    return()
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  set(python ${PROJECT_SOURCE_DIR}/build/venv/bin/python)
  if(NOT EXISTS ${python})
    set(python ${Python3_EXECUTABLE})
  endif()
  cmake_path(GET file STEM name)
  cmake_path(RELATIVE_PATH CMAKE_CURRENT_SOURCE_DIR BASE_DIRECTORY ${PROJECT_SOURCE_DIR}/tests
             OUTPUT_VARIABLE folder)
  # Python itself gives much back only by ending: leaks are for the C tests to find.
  fletch_register_test(${folder}/${name} LABELS ${arg_LABEL} TIMEOUT ${arg_TIMEOUT}
    COMMAND ${CMAKE_COMMAND} -E env FLETCH_LIBRARY=$<TARGET_FILE:fletching_shared>
            PYTHONPATH=${PROJECT_SOURCE_DIR}/tests/support PYTHONDONTWRITEBYTECODE=1
            LD_PRELOAD=${FLETCH_PYTHON_PRELOAD} ASAN_OPTIONS=detect_leaks=0
            ${python} ${CMAKE_CURRENT_SOURCE_DIR}/${file} ${arg_ARGS})
endfunction()

function(fletch_add_program_test file)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "TIMEOUT" "")
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  set(python ${PROJECT_SOURCE_DIR}/build/venv/bin/python)
  if(NOT EXISTS ${python})
    set(python ${Python3_EXECUTABLE})
  endif()
  cmake_path(GET file STEM name)
  cmake_path(RELATIVE_PATH CMAKE_CURRENT_SOURCE_DIR BASE_DIRECTORY ${PROJECT_SOURCE_DIR}/tests
             OUTPUT_VARIABLE folder)
  fletch_register_test(${folder}/${name} LABELS integration TIMEOUT ${arg_TIMEOUT}
    COMMAND ${CMAKE_COMMAND} -E env FLETCH_PROGRAM=$<TARGET_FILE:fletch>
            FLETCH_SANITIZERS=${FLETCH_SANITIZE}
            PYTHONPATH=${PROJECT_SOURCE_DIR}/tests/support PYTHONDONTWRITEBYTECODE=1
            ${FLETCH_TEST_LAUNCHER} ${python} ${CMAKE_CURRENT_SOURCE_DIR}/${file})
endfunction()
