// SPDX-License-Identifier: Apache-2.0
// Where inodes lie, for people.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "backend/kv/check/finding.h"
#include "backend/kv/check/survey.h"
#include "backend/kv/store.h"
#include "base/op.h"

namespace dpfs::kv {

class Paths {
 public:
  // Of the inodes of those findings. The store is as it was when it was surveyed, or nearly so.
  Paths(Store& store, Survey& survey, const std::vector<Finding>& findings);
  Paths(const Paths&) = delete;
  Paths& operator=(const Paths&) = delete;

  // One of its paths, "/a/b", or "" where none is known. Names are as they are stored.
  Op<Unit> find(uint64_t ino, std::string& path);

 private:
  struct Place {
    uint64_t directory = 0;  // 0: nobody knows
    uint64_t cookie = 0;
  };
  Place place_of(uint64_t ino);

  Store& store_;
  Survey& survey_;
  std::unordered_map<uint64_t, Place> places_;
  std::unordered_map<uint64_t, std::string> known_;  // of directories
};

}  // namespace dpfs::kv
