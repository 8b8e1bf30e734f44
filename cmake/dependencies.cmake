# SPDX-License-Identifier: Apache-2.0
# The libraries we trust, all from Debian's own packages ('./dev setup' installs them).
find_package(PkgConfig REQUIRED)
pkg_check_modules(liburing REQUIRED IMPORTED_TARGET liburing)
pkg_check_modules(tomlplusplus REQUIRED IMPORTED_TARGET tomlplusplus)
pkg_check_modules(libsystemd REQUIRED IMPORTED_TARGET libsystemd)
pkg_check_modules(libseccomp REQUIRED IMPORTED_TARGET libseccomp)
pkg_check_modules(rocksdb REQUIRED IMPORTED_TARGET rocksdb)
pkg_check_modules(hiredis REQUIRED IMPORTED_TARGET hiredis)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(CLI11 REQUIRED)
find_package(nlohmann_json REQUIRED)

# spdlog with fmt outside of it: one fmt in the program, and the one that the rest of the code uses.
add_library(dpfs_spdlog INTERFACE)
add_library(dpfs::spdlog ALIAS dpfs_spdlog)
target_link_libraries(dpfs_spdlog INTERFACE spdlog::spdlog fmt::fmt)

if(DPFS_TESTS)
  find_package(GTest REQUIRED)
  enable_testing()
endif()
