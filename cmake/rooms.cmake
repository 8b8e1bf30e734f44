# SPDX-License-Identifier: Apache-2.0
# Turns folders into targets. A file's name says what it becomes:
#   x.cc        part of its room's library dpfs_<room>
#   x_test.cc   a GoogleTest program x_test, run by ctest
#   x_bench.cc  a Google Benchmark program x_bench, built on request:
#               cmake --build --preset release --target x_bench
#   x_fuzz.cc   a libFuzzer program x_fuzz (preset fuzz), its seeds in fuzz/corpus/x_fuzz/
#   main.cc     a program

if(DPFS_FUZZ)
  add_custom_target(fuzzers)
endif()

# Two rooms may each have a table_test.cc: the second becomes <room>_table_test.
function(dpfs_program_name result source room)
  get_filename_component(name "${source}" NAME_WE)
  if(TARGET "${name}")
    set(name "${room}_${name}")
  endif()
  set(${result} "${name}" PARENT_SCOPE)
endfunction()

# dpfs_test(SOURCE ROOM LABEL TIMEOUT_S LIBRARIES...): one test program, registered as one test.
function(dpfs_test source room label timeout_s)
  dpfs_program_name(name "${source}" "${room}")
  add_executable("${name}" "${source}")
  target_include_directories("${name}" PRIVATE "${PROJECT_SOURCE_DIR}")
  target_link_libraries("${name}" PRIVATE ${ARGN} dpfs_flags GTest::gmock GTest::gtest_main)
  set_target_properties("${name}" PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/tests")
  add_test(NAME "${name}" COMMAND "${name}" --gtest_print_time=0)
  set_tests_properties("${name}" PROPERTIES
    LABELS "${label}"
    TIMEOUT "${timeout_s}"
    ENVIRONMENT "DPFS_BINARY=${PROJECT_BINARY_DIR}/dpfs;DPFS_SOURCE_DIR=${PROJECT_SOURCE_DIR}")
  if(label STREQUAL "integration")
    # They start daemons that poll: two at once on two cores would wait for each other.
    set_tests_properties("${name}" PROPERTIES RUN_SERIAL ON)
    if(TARGET dpfs)
      add_dependencies("${name}" dpfs)
    endif()
  endif()
endfunction()

function(dpfs_bench source room)
  find_package(benchmark QUIET)
  if(NOT benchmark_FOUND)
    message(STATUS "${source} is left out: Google Benchmark is not installed (libbenchmark-dev)")
    return()
  endif()
  dpfs_program_name(name "${source}" "${room}")
  add_executable("${name}" EXCLUDE_FROM_ALL "${source}")
  # A benchmark may use the harness of its room's tests.
  target_link_libraries("${name}" PRIVATE ${ARGN} dpfs_flags benchmark::benchmark_main
    $<TARGET_NAME_IF_EXISTS:GTest::gtest>)
  set_target_properties("${name}" PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bench")
endfunction()

function(dpfs_fuzz source room)
  dpfs_program_name(name "${source}" "${room}")
  add_executable("${name}" "${source}")
  add_dependencies(fuzzers "${name}")
  target_link_libraries("${name}" PRIVATE ${ARGN} dpfs_flags)
  target_link_options("${name}" PRIVATE -fsanitize=fuzzer)
  set_target_properties("${name}" PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/fuzz")
endfunction()

# dpfs_room_folder(ROOM FOLDER [USES rooms...] [TEST_USES rooms...] [PUBLIC_LIBRARIES ...]
#                  [PRIVATE_LIBRARIES ...] [OWN_LIBRARIES ...])
function(dpfs_room_folder room folder)
  cmake_parse_arguments(PARSE_ARGV 2 arg "" ""
    "USES;TEST_USES;PUBLIC_LIBRARIES;PRIVATE_LIBRARIES;OWN_LIBRARIES")
  list(APPEND arg_PRIVATE_LIBRARIES ${arg_OWN_LIBRARIES})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/${folder}/*.cc")
  set(tests ${sources})
  set(benches ${sources})
  set(fuzzers ${sources})
  list(FILTER sources EXCLUDE REGEX "(_test|_bench|_fuzz|/main)\\.cc$")
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  list(FILTER benches INCLUDE REGEX "_bench\\.cc$")
  list(FILTER fuzzers INCLUDE REGEX "_fuzz\\.cc$")

  list(TRANSFORM arg_USES PREPEND "dpfs_")
  list(TRANSFORM arg_TEST_USES PREPEND "dpfs_")
  set(library "dpfs_${room}")
  if(sources)
    add_library("${library}" STATIC ${sources})
    target_link_libraries("${library}"
      PUBLIC dpfs_flags ${arg_USES} ${arg_PUBLIC_LIBRARIES}
      PRIVATE ${arg_PRIVATE_LIBRARIES})
  else()
    # Nothing but headers yet.
    add_library("${library}" INTERFACE)
    target_link_libraries("${library}" INTERFACE dpfs_flags ${arg_USES} ${arg_PUBLIC_LIBRARIES})
  endif()

  # The private libraries too: a test of the room may look at what only the room sees.
  set(libraries "${library}" ${arg_TEST_USES} ${arg_PRIVATE_LIBRARIES})
  if(DPFS_TESTS)
    foreach(source IN LISTS tests)
      dpfs_test("${source}" "${room}" unit 120 ${libraries})
    endforeach()
  endif()
  foreach(source IN LISTS benches)
    dpfs_bench("${source}" "${room}" ${libraries})
  endforeach()
  if(DPFS_FUZZ)
    foreach(source IN LISTS fuzzers)
      dpfs_fuzz("${source}" "${room}" ${libraries})
    endforeach()
  endif()
endfunction()

# dpfs_room(ROOM ...): the room src/ROOM.
function(dpfs_room room)
  dpfs_room_folder("${room}" "src/${room}" ${ARGN})
endfunction()

# dpfs_rooms_in(GROUP ...): each folder of src/GROUP is a room GROUP_<folder>, and dpfs_GROUP_all is
# all of them. Siblings never see each other. One that needs libraries of its own has them in
# dpfs_GROUP_<folder>_LIBRARIES; they are PRIVATE_LIBRARIES.
function(dpfs_rooms_in group)
  add_library("dpfs_${group}_all" INTERFACE)
  file(GLOB folders CONFIGURE_DEPENDS LIST_DIRECTORIES true "${PROJECT_SOURCE_DIR}/src/${group}/*")
  foreach(folder IN LISTS folders)
    if(IS_DIRECTORY "${folder}")
      get_filename_component(name "${folder}" NAME)
      dpfs_room_folder("${group}_${name}" "src/${group}/${name}" ${ARGN}
        OWN_LIBRARIES ${dpfs_${group}_${name}_LIBRARIES})
      target_link_libraries("dpfs_${group}_all" INTERFACE "dpfs_${group}_${name}")
    endif()
  endforeach()
endfunction()

# dpfs_program(NAME SOURCE): the program itself, at the root of the build folder.
function(dpfs_program name source)
  if(NOT EXISTS "${PROJECT_SOURCE_DIR}/${source}")
    message(STATUS "${name} is left out: there is no ${source} yet")
    return()
  endif()
  add_executable("${name}" "${source}")
  target_link_libraries("${name}" PRIVATE dpfs_daemon
    CLI11::CLI11 nlohmann_json::nlohmann_json PkgConfig::tomlplusplus PkgConfig::libsystemd)
  set_target_properties("${name}" PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}")
endfunction()

# dpfs_integration_tests(FOLDER): tests that see the whole house and may start the program. What
# several of them share lies beside them, in files that do not end in _test.cc.
function(dpfs_integration_tests folder)
  file(GLOB_RECURSE shared CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/${folder}/*.cc")
  set(tests ${shared})
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  list(FILTER shared EXCLUDE REGEX "_test\\.cc$")
  set(libraries dpfs_daemon nlohmann_json::nlohmann_json PkgConfig::liburing)
  if(shared)
    add_library(dpfs_integration STATIC ${shared})
    target_include_directories(dpfs_integration PUBLIC "${PROJECT_SOURCE_DIR}")
    target_link_libraries(dpfs_integration PUBLIC dpfs_flags ${libraries} GTest::gmock)
    list(PREPEND libraries dpfs_integration)
  endif()
  foreach(source IN LISTS tests)
    dpfs_test("${source}" integration integration 300 ${libraries})
  endforeach()
endfunction()

# dpfs_examples(FOLDER): each subfolder is a program example_<subfolder> where one of its files has
# a main(), else a library of that name; its tests run with the others.
function(dpfs_examples folder)
  file(GLOB subfolders CONFIGURE_DEPENDS LIST_DIRECTORIES true "${PROJECT_SOURCE_DIR}/${folder}/*")
  foreach(subfolder IN LISTS subfolders)
    get_filename_component(name "${subfolder}" NAME)
    file(GLOB sources CONFIGURE_DEPENDS "${subfolder}/*.cc")
    set(tests ${sources})
    list(FILTER tests INCLUDE REGEX "_test\\.cc$")
    list(FILTER sources EXCLUDE REGEX "_test\\.cc$")
    set(main_source "")
    foreach(source IN LISTS sources)
      file(STRINGS "${source}" has_main REGEX "^int main\\(")
      if(has_main)
        set(main_source "${source}")
      endif()
    endforeach()
    list(REMOVE_ITEM sources "${main_source}")
    set(libraries dpfs_daemon)
    if(sources)
      add_library("dpfs_example_${name}" STATIC ${sources})
      target_link_libraries("dpfs_example_${name}" PUBLIC dpfs_flags dpfs_daemon)
      target_include_directories("dpfs_example_${name}" PUBLIC "${PROJECT_SOURCE_DIR}")
      list(PREPEND libraries "dpfs_example_${name}")
    endif()
    if(main_source)
      add_executable("example_${name}" "${main_source}")
      target_link_libraries("example_${name}"
        PRIVATE ${libraries} CLI11::CLI11 PkgConfig::tomlplusplus)
      target_include_directories("example_${name}" PRIVATE "${PROJECT_SOURCE_DIR}")
      set_target_properties("example_${name}" PROPERTIES
        RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/examples")
    endif()
    if(DPFS_TESTS)
      foreach(source IN LISTS tests)
        dpfs_test("${source}" "example_${name}" unit 120 ${libraries})
      endforeach()
    endif()
  endforeach()
endfunction()

# dpfs_install(): what 'cmake --install' puts on a machine. Manual pages and units are taken where
# they exist.
function(dpfs_install)
  if(TARGET dpfs)
    install(TARGETS dpfs RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
    install(CODE "set(SOURCE \"${PROJECT_SOURCE_DIR}\")
      set(BINDIR \"${CMAKE_INSTALL_BINDIR}\")
      set(LIBEXECDIR \"${CMAKE_INSTALL_LIBEXECDIR}\")
      set(DATADIR \"${CMAKE_INSTALL_DATADIR}\")")
    install(SCRIPT "${PROJECT_SOURCE_DIR}/cmake/install_virtiofsd.cmake")
    # Where mount(8) looks for the type dpfs.
    install(CODE "
      set(sbin \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_SBINDIR}\")
      file(MAKE_DIRECTORY \"\${sbin}\")
      file(CREATE_LINK ../${CMAKE_INSTALL_BINDIR}/dpfs \"\${sbin}/mount.dpfs\" SYMBOLIC)")
  endif()
  foreach(section IN ITEMS 1 5 7 8)
    file(GLOB pages CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/docs/man/*.${section}")
    if(pages)
      install(FILES ${pages} DESTINATION "${CMAKE_INSTALL_MANDIR}/man${section}")
    endif()
  endforeach()
  file(GLOB_RECURSE units CONFIGURE_DEPENDS
    "${PROJECT_SOURCE_DIR}/packaging/*.service" "${PROJECT_SOURCE_DIR}/packaging/*.socket")
  if(units)
    install(FILES ${units} DESTINATION lib/systemd/system)
  endif()
  install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION "${CMAKE_INSTALL_DOCDIR}")
endfunction()
