# SPDX-License-Identifier: Apache-2.0
# What ./dev eval runs besides dpfs: a counter in QEMU, and the loads. Built on request.

# dpfs_eval(FOLDER)
function(dpfs_eval folder)
  set(output "${PROJECT_BINARY_DIR}/eval")

  # Loaded by a QEMU that may have been built with another C++ library: it brings its own.
  add_library(count_plugin MODULE EXCLUDE_FROM_ALL "${folder}/count_plugin.cc")
  target_link_libraries(count_plugin PRIVATE dpfs_language)
  target_link_options(count_plugin PRIVATE -static-libstdc++ -static-libgcc)
  set_target_properties(count_plugin PROPERTIES
    PREFIX ""
    CXX_VISIBILITY_PRESET hidden
    LIBRARY_OUTPUT_DIRECTORY "${output}")

  # Run in the guest, which has no libraries.
  add_executable(guest_load EXCLUDE_FROM_ALL "${folder}/guest_load.cc")
  add_executable(guest_mount_load EXCLUDE_FROM_ALL tools/bench/mount_load.cc)
  foreach(program IN ITEMS guest_load guest_mount_load)
    target_link_libraries(${program} PRIVATE dpfs_language)
    target_link_options(${program} PRIVATE -static)
    if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
      # It finds -no-pie needless beside -static.
      target_link_options(${program} PRIVATE -Wno-unused-command-line-argument)
    endif()
    set_target_properties(${program} PROPERTIES
      POSITION_INDEPENDENT_CODE OFF
      RUNTIME_OUTPUT_DIRECTORY "${output}")
  endforeach()

  # What is compared with on the host. libnfs is left out where it is not installed.
  set(programs tcp_floor)
  pkg_check_modules(libnfs QUIET IMPORTED_TARGET libnfs)
  if(libnfs_FOUND)
    list(APPEND programs libnfs_load)
  else()
    message(STATUS "libnfs_load is left out: libnfs is not installed (libnfs-dev)")
  endif()
  foreach(program IN LISTS programs)
    add_executable(${program} EXCLUDE_FROM_ALL "${folder}/${program}.cc")
    target_link_libraries(${program} PRIVATE dpfs_flags)
    set_target_properties(${program} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${output}")
  endforeach()
  if(libnfs_FOUND)
    target_link_libraries(libnfs_load PRIVATE PkgConfig::libnfs)
  endif()

  # Tenants without a VM that do nothing.
  add_executable(idle_tenants EXCLUDE_FROM_ALL "${folder}/idle_tenants.cc")
  target_link_libraries(idle_tenants PRIVATE dpfs_driver dpfs_flags)
  set_target_properties(idle_tenants PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${output}")

  add_custom_target(eval DEPENDS count_plugin guest_load guest_mount_load ${programs})
endfunction()
