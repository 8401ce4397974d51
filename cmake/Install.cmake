# What `cmake --install` puts where: headers, both libraries, the CMake package, the pkg-config
# file, the licence.
include(CMakePackageConfigHelpers)

set(FLETCH_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/Fletching)

install(FILES ${FLETCH_PUBLIC_HEADERS} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/fletching)
install(TARGETS fletching_shared fletching_static EXPORT FletchingTargets)
install(EXPORT FletchingTargets NAMESPACE Fletching:: DESTINATION ${FLETCH_PACKAGE_DIR})

configure_package_config_file(cmake/FletchingConfig.cmake.in
  ${PROJECT_BINARY_DIR}/FletchingConfig.cmake INSTALL_DESTINATION ${FLETCH_PACKAGE_DIR})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/FletchingConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/FletchingConfig.cmake
              ${PROJECT_BINARY_DIR}/FletchingConfigVersion.cmake cmake/FletchingCodecs.cmake
        DESTINATION ${FLETCH_PACKAGE_DIR})

# Relative to the .pc file, so that the tree can be moved or installed with another --prefix.
cmake_path(SET FLETCH_PC_DIR "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig")
cmake_path(SET FLETCH_PREFIX_FROM_PC "${CMAKE_INSTALL_PREFIX}")
cmake_path(RELATIVE_PATH FLETCH_PREFIX_FROM_PC BASE_DIRECTORY "${FLETCH_PC_DIR}")
set(FLETCH_PC_REQUIRES_PRIVATE "")
foreach(codec IN ITEMS lz4 zstd nghttp2)
  if(TARGET Fletching::${codec})
    string(APPEND FLETCH_PC_REQUIRES_PRIVATE " lib${codec}")
  endif()
endforeach()
if(TARGET Fletching::jansson)
  string(APPEND FLETCH_PC_REQUIRES_PRIVATE " jansson")
endif()
configure_file(cmake/fletching.pc.in ${PROJECT_BINARY_DIR}/fletching.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/fletching.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

install(FILES LICENSE NOTICE DESTINATION ${CMAKE_INSTALL_DOCDIR})
