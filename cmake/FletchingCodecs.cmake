# Finds liblz4, libzstd, libnghttp2 (the codec of HTTP/2's headers) and libjansson (that of JSON)
# and makes them the targets Fletching::lz4, Fletching::zstd, Fletching::nghttp2 and
# Fletching::jansson. Used by the build, and by the installed package for those who link the static
# library.
#
#   fletching_find_codec(name header...)       sets Fletching_<name>_FOUND
function(fletching_find_codec name)
  string(TOUPPER ${name} upper)
  set(found TRUE)
  foreach(header IN LISTS ARGN)
    find_path(FLETCH_${upper}_INCLUDE_DIR ${header})
    if(NOT EXISTS "${FLETCH_${upper}_INCLUDE_DIR}/${header}")
      set(found FALSE)
    endif()
  endforeach()
  find_library(FLETCH_${upper}_LIBRARY ${name})
  mark_as_advanced(FLETCH_${upper}_INCLUDE_DIR FLETCH_${upper}_LIBRARY)
  if(NOT FLETCH_${upper}_LIBRARY)
    set(found FALSE)
  endif()
  set(Fletching_${name}_FOUND ${found} PARENT_SCOPE)
  if(found AND NOT TARGET Fletching::${name})
    add_library(Fletching::${name} UNKNOWN IMPORTED GLOBAL)
    set_target_properties(Fletching::${name} PROPERTIES
      IMPORTED_LOCATION "${FLETCH_${upper}_LIBRARY}"
      INTERFACE_INCLUDE_DIRECTORIES "${FLETCH_${upper}_INCLUDE_DIR}")
  endif()
endfunction()
