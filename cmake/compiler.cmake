# SPDX-License-Identifier: Apache-2.0
# Chooses the compiler before project() looks for one: clang 19 where it is installed, else the
# system's own.
#
# CMAKE_CXX_COMPILER and the environment variable CXX win, so a packager or the preset "gcc" can say
# otherwise.
if(NOT DEFINED CMAKE_CXX_COMPILER AND NOT DEFINED ENV{CXX})
  find_program(DPFS_CLANG NAMES clang++-19)
  if(DPFS_CLANG)
    set(CMAKE_CXX_COMPILER "${DPFS_CLANG}" CACHE FILEPATH "C++ compiler")
  endif()
endif()

# With a cache in front, the same file is compiled once for all clones of the repository: paths are
# made relative.
find_program(DPFS_CCACHE NAMES ccache)
if(DPFS_CCACHE AND NOT DEFINED CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER
    "${CMAKE_COMMAND}" -E env
    "CCACHE_BASEDIR=${CMAKE_SOURCE_DIR}" CCACHE_NOHASHDIR=1 "${DPFS_CCACHE}")
endif()
