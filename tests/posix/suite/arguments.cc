// SPDX-License-Identifier: Apache-2.0
// Finding options among words.
#include "tests/posix/suite/arguments.h"

#include <algorithm>
#include <cstdlib>

namespace dpfs::posix {

bool Arguments::flag(const std::string& name) {
  const auto found = std::find(words_.begin(), words_.end(), name);
  if (found == words_.end()) return false;
  words_.erase(found);
  return true;
}

std::string Arguments::value(const std::string& name) {
  for (auto word = words_.begin(); word != words_.end(); ++word) {
    if (word->rfind(name + "=", 0) == 0) {
      const std::string result = word->substr(name.size() + 1);
      words_.erase(word);
      return result;
    }
    if (*word != name) continue;
    if (word + 1 == words_.end()) {
      problem_ = name + " wants a value";
      return "";
    }
    const std::string result = *(word + 1);
    words_.erase(word, word + 2);
    return result;
  }
  return "";
}

uint64_t Arguments::number(const std::string& name, uint64_t otherwise) {
  const std::string text = value(name);
  if (text.empty()) return otherwise;
  char* end = nullptr;
  const uint64_t result = strtoull(text.c_str(), &end, 0);
  if (*end != '\0') problem_ = name + " wants a number, not '" + text + "'";
  return result;
}

std::vector<std::string> Arguments::rest() {
  for (const std::string& word : words_) {
    if (word.size() > 1 && word[0] == '-') problem_ = "there is no option " + word;
  }
  return words_;
}

}  // namespace dpfs::posix
