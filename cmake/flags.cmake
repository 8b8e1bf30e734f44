# SPDX-License-Identifier: Apache-2.0
# The language, the warnings and the sanitizers. Everything that is compiled gets the same flags; only
# the static program of tests/posix is built without sanitizers and hardening.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CXX_SCAN_FOR_MODULES OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
# Ninja removes the colours where it does not write to a terminal.
set(CMAKE_COLOR_DIAGNOSTICS ON)
include(CheckPIESupported)
check_pie_supported(LANGUAGES CXX)

add_library(dpfs_language INTERFACE)
target_include_directories(dpfs_language INTERFACE "${PROJECT_SOURCE_DIR}/src")
target_compile_definitions(dpfs_language INTERFACE _GNU_SOURCE "DPFS_VERSION=\"${PROJECT_VERSION}\"")
# Leaving out a member means zero in our argument structs, so the warning about it would only breed
# noise.
target_compile_options(dpfs_language INTERFACE
  -Wall -Wextra -Wnon-virtual-dtor -Werror -Wno-missing-field-initializers
  # Asserts and debug information name files from the root of the repository, wherever it lies.
  "-ffile-prefix-map=${PROJECT_SOURCE_DIR}/=")
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  target_compile_options(dpfs_language INTERFACE
    -Wshadow -Wno-missing-designated-field-initializers)
else()
  # g++'s plain -Wshadow also refuses a parameter that is called like a method of its class.
  target_compile_options(dpfs_language INTERFACE -Wshadow=local)
endif()

add_library(dpfs_flags INTERFACE)
target_link_libraries(dpfs_flags INTERFACE dpfs_language)
find_package(Threads REQUIRED)
target_link_libraries(dpfs_flags INTERFACE Threads::Threads)

if(DPFS_HARDENING)
  target_compile_options(dpfs_flags INTERFACE
    -fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
  target_link_options(dpfs_flags INTERFACE -Wl,-z,relro,-z,now)
else()
  target_compile_definitions(dpfs_flags INTERFACE _GLIBCXX_ASSERTIONS)
endif()

if(DPFS_SANITIZERS)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "The sanitizer presets need clang 19: with g++ 12 coroutines overflow the "
                        "stack. './dev setup' installs it.")
  endif()
  target_compile_options(dpfs_flags INTERFACE
    "-fsanitize=${DPFS_SANITIZERS}" -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(dpfs_flags INTERFACE "-fsanitize=${DPFS_SANITIZERS}")
endif()
