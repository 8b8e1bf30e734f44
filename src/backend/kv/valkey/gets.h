// SPDX-License-Identifier: Apache-2.0
// Gets: reads of single records, with what they need kept for the next ones.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "backend/kv/store.h"
#include "backend/kv/valkey/cluster.h"
#include "backend/kv/valkey/keys.h"
#include "backend/kv/valkey/requests.h"

namespace dpfs::kv::valkey {

class Gets {
 public:
  Gets(Cluster& cluster, const Keys& keys, uint16_t metadata_slot);
  ~Gets();

  // As Store::get(); the keys are possible ones.
  Op<Unit> get(std::span<Get> gets);

 private:
  class Question;
  Question& take();

  Cluster& cluster_;
  const Keys& keys_;
  const uint16_t metadata_slot_;
  std::vector<std::unique_ptr<Question>> all_;
  std::vector<Question*> spare_;
};

}  // namespace dpfs::kv::valkey
