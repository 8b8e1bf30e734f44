# SPDX-License-Identifier: Apache-2.0
# The conformance suites of tests/posix: one static program, which also runs inside the guest.

# dpfs_posix_suite(FOLDER)
function(dpfs_posix_suite folder)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/${folder}/*.cc")
  add_executable(posix_suite ${sources})
  target_include_directories(posix_suite PRIVATE "${PROJECT_SOURCE_DIR}")
  # It tests file systems, not itself: sanitizers would only slow it down, and cannot be static.
  target_link_libraries(posix_suite PRIVATE dpfs_language)
  target_link_options(posix_suite PRIVATE -static)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    # It finds -no-pie needless beside -static.
    target_link_options(posix_suite PRIVATE -Wno-unused-command-line-argument)
  endif()
  set_target_properties(posix_suite PROPERTIES
    POSITION_INDEPENDENT_CODE OFF
    RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/tests")
  # tests/integration/posix_test.cc runs it on a mount.
  add_dependencies(posix_test posix_suite)

  # On a plain directory, where everything has to pass: this proves the suites themselves. It is the
  # same program in every preset, so once is enough.
  if(NOT DPFS_SANITIZERS AND CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    set(directory "${PROJECT_BINARY_DIR}/tests/posix")
    file(MAKE_DIRECTORY "${directory}")
    # What runs every case twice is better off in memory.
    set(memory "${directory}")
    if(IS_DIRECTORY /dev/shm)
      set(memory /dev/shm)
    endif()
    dpfs_posix_test(self_test "${directory}" self-test)
    dpfs_posix_test(cases "${directory}" cases --also "${directory}")
    dpfs_posix_test(mutate "${memory}" cases --mutate)
    dpfs_posix_test(differential "${memory}" differential --beside "${directory}")
    dpfs_posix_test(fsx "${directory}" fsx --processes 2)
  endif()
endfunction()

# dpfs_posix_test(NAME DIRECTORY COMMAND [ARGUMENTS...]): posix_suite COMMAND on a directory.
function(dpfs_posix_test name directory command)
  add_test(NAME "posix_${name}" COMMAND posix_suite ${command} "${directory}" ${ARGN})
  set_tests_properties("posix_${name}" PROPERTIES LABELS unit TIMEOUT 120)
endfunction()
