// SPDX-License-Identifier: Apache-2.0
// Commands as the server takes them: arrays of words (RESP, the Redis serialization protocol).
#pragma once

#include <charconv>
#include <initializer_list>
#include <string>
#include <string_view>

#include "guest/io_view.h"

namespace dpfs::kv::valkey {

// Adds to a string, which keeps its memory from one command to the next. What adds may throw
// std::bad_alloc: reserve() before it, then nothing does.
class CommandWriter {
 public:
  // Around the bytes of a word: "$", its length, and two line ends.
  static constexpr size_t kWordBytes = 16;

  explicit CommandWriter(std::string& into) noexcept : into_(into) {}

  void begin(size_t words) { head('*', words); }
  void word(std::string_view bytes) {
    head('$', bytes.size());
    into_.append(bytes);
    into_.append("\r\n");
  }
  // One word of both.
  void word(std::string_view bytes, IoView more) {
    const size_t size = more.size();
    head('$', bytes.size() + size);
    into_.append(bytes);
    const size_t at = into_.size();
    into_.resize(at + size);
    more.copy_out(into_.data() + at, size);
    into_.append("\r\n");
  }
  void number(uint64_t value) {
    char digits[20];
    const auto [end, error] = std::to_chars(std::begin(digits), std::end(digits), value);
    word({digits, static_cast<size_t>(end - digits)});
  }

 private:
  void head(char kind, size_t count) {
    char digits[24];
    digits[0] = kind;
    const auto [end, error] = std::to_chars(digits + 1, std::end(digits) - 2, count);
    end[0] = '\r';
    end[1] = '\n';
    into_.append(digits, static_cast<size_t>(end + 2 - digits));
  }

  std::string& into_;
};

inline std::string command(std::initializer_list<std::string_view> words) {
  std::string bytes;
  CommandWriter writer(bytes);
  writer.begin(words.size());
  for (const std::string_view word : words) writer.word(word);
  return bytes;
}

}  // namespace dpfs::kv::valkey
