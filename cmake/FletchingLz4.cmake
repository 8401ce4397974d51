# Finds liblz4 and makes it the target Fletching::lz4. Used by the build, and by the installed
# package for those who link the static library. Sets FletchingLz4_FOUND.
find_path(FLETCH_LZ4_INCLUDE_DIR lz4.h)
find_library(FLETCH_LZ4_LIBRARY lz4)
mark_as_advanced(FLETCH_LZ4_INCLUDE_DIR FLETCH_LZ4_LIBRARY)
set(FletchingLz4_FOUND FALSE)
if(FLETCH_LZ4_INCLUDE_DIR AND FLETCH_LZ4_LIBRARY)
  set(FletchingLz4_FOUND TRUE)
  if(NOT TARGET Fletching::lz4)
    add_library(Fletching::lz4 UNKNOWN IMPORTED GLOBAL)
    set_target_properties(Fletching::lz4 PROPERTIES
      IMPORTED_LOCATION "${FLETCH_LZ4_LIBRARY}"
      INTERFACE_INCLUDE_DIRECTORIES "${FLETCH_LZ4_INCLUDE_DIR}")
  endif()
endif()
