# What every target of the project shares: language level, warnings, sanitizers, packages, and the
# function that declares a test.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo)
endif()

set(ENTREPOT_SANITIZE "" CACHE STRING "Value for -fsanitize=, for instance address,undefined")

add_compile_options(-Wall -Wextra -Wshadow -Wno-missing-field-initializers -Werror
                    -fno-omit-frame-pointer)
if(CMAKE_CXX_COMPILER_ID MATCHES Clang)
  add_compile_options(-Werror=thread-safety)
endif()
# Abseil of Debian 12 defines GUARDED_BY and its like for old users; base/mutex.h has our own. Its
# header with the old names counts as included.
add_compile_definitions(ABSL_BASE_INTERNAL_THREAD_ANNOTATIONS_H_)
if(ENTREPOT_SANITIZE)
  add_compile_options(-fsanitize=${ENTREPOT_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${ENTREPOT_SANITIZE})
endif()

include(GNUInstallDirs)
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(absl REQUIRED)
find_package(fmt REQUIRED)
find_package(CLI11 REQUIRED)
find_package(tomlplusplus REQUIRED)
find_package(cppzmq REQUIRED)
# By the name of its folder: the C library's package has the same file.
find_package(msgpack-cxx REQUIRED CONFIG NAMES msgpackc-cxx CONFIGS msgpack-config.cmake)
find_package(nlohmann_json REQUIRED)
find_package(GTest REQUIRED)
find_package(benchmark REQUIRED)
pkg_check_modules(ZMQ REQUIRED IMPORTED_TARGET libzmq)
pkg_check_modules(JEMALLOC REQUIRED IMPORTED_TARGET jemalloc)
pkg_check_modules(EDIT REQUIRED IMPORTED_TARGET libedit)

# The allocator of programs. A sanitizer brings its own.
add_library(entrepot_allocator INTERFACE)
if(NOT ENTREPOT_SANITIZE)
  target_link_libraries(entrepot_allocator INTERFACE PkgConfig::JEMALLOC)
endif()

# entrepot_test(NAME name SOURCES file… LIBRARIES target… [LABELS label…] [TIMEOUT seconds])
#
# Declares a GoogleTest program and registers it with CTest under one name.
function(entrepot_test)
  cmake_parse_arguments(TEST "" "NAME;TIMEOUT" "SOURCES;LIBRARIES;LABELS" ${ARGN})
  add_executable(${TEST_NAME} ${TEST_SOURCES})
  target_link_libraries(${TEST_NAME} PRIVATE ${TEST_LIBRARIES} GTest::gtest_main)
  set_target_properties(${TEST_NAME} PROPERTIES
                        RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  add_test(NAME ${TEST_NAME} COMMAND ${TEST_NAME})
  if(NOT TEST_TIMEOUT)
    set(TEST_TIMEOUT 300)
  endif()
  set_tests_properties(${TEST_NAME} PROPERTIES LABELS "${TEST_LABELS}" TIMEOUT ${TEST_TIMEOUT})
endfunction()

# entrepot_pytest(NAME name FOLDER folder [MARKED expression] [LABELS label…] [TIMEOUT seconds])
#
# Registers a folder of pytest tests that run against the programs of this build; given MARKED, those
# that the expression selects (pytest -m).
function(entrepot_pytest)
  cmake_parse_arguments(TEST "" "NAME;FOLDER;TIMEOUT;MARKED" "LABELS" ${ARGN})
  if(NOT TEST_TIMEOUT)
    set(TEST_TIMEOUT 600)
  endif()
  add_test(NAME ${TEST_NAME}
           COMMAND /usr/bin/python3 -m pytest -q -p no:cacheprovider -m "${TEST_MARKED}" ${TEST_FOLDER})
  set_tests_properties(${TEST_NAME} PROPERTIES
    LABELS "${TEST_LABELS}" TIMEOUT ${TEST_TIMEOUT}
    ENVIRONMENT "ENTREPOT_BIN_DIR=${CMAKE_RUNTIME_OUTPUT_DIRECTORY};PYTHONDONTWRITEBYTECODE=1;PYTHONPATH=${PROJECT_SOURCE_DIR}/tests/support:${PROJECT_SOURCE_DIR}/clients/python")
endfunction()
