// SPDX-License-Identifier: Apache-2.0
// What cases say about system calls: WORKS, FAILS, EQUAL, HOLDS, SKIP. Each names its place.
//
//   const Fd file(WORKS(open("f", O_RDONLY)));   the case ends here where open() fails
//   FAILS(ENOENT, unlink("missing"));            goes on in any case
//   EQUAL(2, status("f").st_nlink);
//   HOLDS(after > before);
#pragma once

#include <cerrno>
#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace dpfs::posix {

struct Place {
  const char* file;
  int line;
  const char* expression;
};

// Ends the case: a step failed that the others need. What was wrong has been noted.
struct Abandoned {};
// Ends the case: it cannot run here. The reason has been noted.
struct Skipped {};

// Notes one expectation; true where it held (or, in the suite's test of itself, was made not to).
bool judge(bool held, const Place& place, const std::string& expected, const std::string& got);
[[noreturn]] void skip(const std::string& reason);

// What the following expectations are about, in tables: it is shown with a failure.
class Row {
 public:
  explicit Row(const std::string& text);
  Row(const Row&) = delete;
  Row& operator=(const Row&) = delete;
  ~Row();
};

std::string errno_text(int number);
std::string quoted(std::string_view bytes);

template <class T>
std::string to_text(const T& value) {
  if constexpr (std::is_same_v<T, bool>) {
    return value ? "true" : "false";
  } else if constexpr (std::is_arithmetic_v<T>) {
    return std::to_string(value);
  } else if constexpr (std::is_convertible_v<T, std::string_view>) {
    return quoted(value);
  } else if constexpr (std::is_pointer_v<T>) {
    return std::to_string(reinterpret_cast<uintptr_t>(value));
  } else {
    std::string text = "{";
    for (const auto& element : value) text += (text.size() > 1 ? ", " : "") + to_text(element);
    return text + "}";
  }
}

template <class T>
bool means_failure(T result) {
  if constexpr (std::is_pointer_v<T>) {
    return result == nullptr || reinterpret_cast<intptr_t>(result) == -1;
  } else {
    return result == static_cast<T>(-1);
  }
}

template <class T>
T works(T result, int error, const Place& place) {
  if (!judge(!means_failure(result), place, "success", errno_text(error))) throw Abandoned();
  return result;
}

// Any of the given errnos will do, where POSIX allows several.
void fails(const std::vector<int>& wanted, bool failed, int error, const Place& place);

template <class A, class B>
void equal(const A& expected, const B& got, const Place& place) {
  bool same;
  if constexpr (std::is_integral_v<A> && std::is_integral_v<B> && !std::is_same_v<A, bool> &&
                !std::is_same_v<B, bool> && !std::is_same_v<A, char> && !std::is_same_v<B, char>) {
    same = std::cmp_equal(expected, got);
  } else {
    same = expected == got;
  }
  // Texts are made only where they are shown: big files are compared, too.
  if (same && judge(true, place, "another value", "the one expected")) return;
  if (!same) judge(false, place, to_text(expected), to_text(got));
}

}  // namespace dpfs::posix

#define POSIX_PLACE(text) (::dpfs::posix::Place{__FILE__, __LINE__, text})

// NOLINTBEGIN(bugprone-macro-parentheses)
// errno is left alone before, so that a result which was looked at already can be given as well.
#define WORKS(...)                                                                     \
  ([&] {                                                                               \
    const auto posix_result = (__VA_ARGS__);                                           \
    const int posix_error = errno;                                                     \
    return ::dpfs::posix::works(posix_result, posix_error, POSIX_PLACE(#__VA_ARGS__)); \
  }())

#define FAILS(wanted, ...) FAILS_EITHER((std::vector<int>{wanted}), __VA_ARGS__)

#define FAILS_EITHER(wanted, ...)                                                       \
  do {                                                                                  \
    errno = 0;                                                                          \
    const bool posix_failed = ::dpfs::posix::means_failure(__VA_ARGS__);                \
    const int posix_error = errno;                                                      \
    ::dpfs::posix::fails(wanted, posix_failed, posix_error, POSIX_PLACE(#__VA_ARGS__)); \
  } while (false)

#define EQUAL(expected, ...) \
  ::dpfs::posix::equal(expected, (__VA_ARGS__), POSIX_PLACE(#__VA_ARGS__))

#define HOLDS(...) \
  ::dpfs::posix::judge(static_cast<bool>(__VA_ARGS__), POSIX_PLACE(#__VA_ARGS__), "true", "false")

// Two numbers in this order, both shown.
#define ORDERED(left, relation, right)                                                            \
  do {                                                                                            \
    const auto posix_left = (left);                                                               \
    const auto posix_right = (right);                                                             \
    ::dpfs::posix::judge(                                                                         \
        posix_left relation posix_right, POSIX_PLACE(#left " " #relation " " #right),             \
        #relation " " + ::dpfs::posix::to_text(posix_right), ::dpfs::posix::to_text(posix_left)); \
  } while (false)
// NOLINTEND(bugprone-macro-parentheses)
