// SPDX-License-Identifier: Apache-2.0
// The contract: random changes do what they do to a map.
#pragma once

#include <algorithm>
#include <map>
#include <random>

#include "backend/kv/store_contract.h"

namespace dpfs::kv {

class RandomChanges {
 public:
  RandomChanges(ContractClient& client, uint64_t seed) : client_(client), random_(seed) {}

  void change() {
    const uint64_t object = random_() % 8;
    std::string& value = values_[object];
    bool& present = present_[object];
    const auto offset = static_cast<int64_t>(random_() % 5000);
    const std::string text = some_text(1 + random_() % 3000, random_());
    const Key key = chunk_key(object, 1);
    switch (random_() % 8) {
      case 0:
        value = text;
        present = true;
        ASSERT_EQ(client_.write(put(key, text)), Errno::none);
        break;
      case 1:
        value.clear();
        present = false;
        ASSERT_EQ(client_.write(erase(key)), Errno::none);
        break;
      case 2:
        if (value.size() > static_cast<size_t>(offset)) value.resize(static_cast<size_t>(offset));
        ASSERT_EQ(client_.write(cut(key, offset)), Errno::none);
        break;
      default:
        value.resize(std::max(value.size(), static_cast<size_t>(offset) + text.size()));
        value.replace(static_cast<size_t>(offset), text.size(), text);
        present = true;
        ASSERT_EQ(client_.write(patch(key, offset, text)), Errno::none);
    }
  }
  void look() {
    const uint64_t object = random_() % 8;
    const std::optional<std::string> found = client_.get(chunk_key(object, 1));
    // A value that was cut to nothing may be absent.
    if (found || !values_[object].empty()) {
      ASSERT_EQ(found, values_[object]);
    }
    if (!present_[object]) {
      ASSERT_EQ(found, std::nullopt);
    }
    const auto offset = static_cast<uint32_t>(random_() % 5000);
    const auto bytes = static_cast<uint32_t>(random_() % 5000);
    const std::string& value = values_[object];
    if (offset <= value.size() && found) {
      ASSERT_EQ(client_.get(chunk_key(object, 1), offset, bytes), value.substr(offset, bytes));
    }
  }

 private:
  ContractClient& client_;
  std::mt19937_64 random_;
  std::map<uint64_t, std::string> values_;
  std::map<uint64_t, bool> present_;
};

TEST_P(StoreContract, RandomChangesDoWhatTheyDoToAMap) {
  const uint64_t seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  RandomChanges changes(client(), seed);
  for (int i = 0; i < 3000; ++i) {
    changes.change();
    changes.look();
    if (HasFatalFailure()) return;
    if (i % 1000 != 999) continue;
    ASSERT_EQ(client().close(), Errno::none);
    ASSERT_EQ(client().open(), Errno::none);
  }
}

}  // namespace dpfs::kv
