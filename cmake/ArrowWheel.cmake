# Arrow C++ with Flight, out of the wheel of pyarrow: it has headers and libraries.
#
# fletch_find_arrow_wheel()
#
# Makes the target arrow_wheel, of which executables are to be C++20, where the Python of build/venv
# (scripts/install-python.sh), or the system's, has pyarrow.

function(fletch_find_arrow_wheel)
  find_program(FLETCH_WHEEL_PYTHON python3 HINTS ${PROJECT_SOURCE_DIR}/build/venv/bin)
  mark_as_advanced(FLETCH_WHEEL_PYTHON)
  if(TARGET arrow_wheel OR NOT FLETCH_WHEEL_PYTHON)
    return()
  endif()
  string(CONCAT ask "import pyarrow as a; v = a.cpp_version_info; "
                    "print(a.get_include(), a.get_library_dirs()[0], v.major * 100 + v.minor,"
                    "      sep=';', end='')")
  execute_process(COMMAND ${FLETCH_WHEEL_PYTHON} -c "${ask}"
                  OUTPUT_VARIABLE wheel RESULT_VARIABLE failed ERROR_QUIET)
  if(failed)
    return()
  endif()
  list(GET wheel 0 headers)
  list(GET wheel 1 libraries)
  list(GET wheel 2 version)
  add_library(arrow_wheel INTERFACE)
  target_include_directories(arrow_wheel SYSTEM INTERFACE ${headers})
  target_link_libraries(arrow_wheel INTERFACE ${libraries}/libarrow_flight.so.${version}
                        ${libraries}/libarrow.so.${version})
  target_link_options(arrow_wheel INTERFACE LINKER:-rpath,${libraries})
endfunction()
