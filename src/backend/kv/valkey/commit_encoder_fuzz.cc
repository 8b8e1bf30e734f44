// SPDX-License-Identifier: Apache-2.0
// Commits of any records and bytes: always as many words as the head says, and keys that decode.
#include "backend/kv/valkey/commit_encoder.h"

#include <deque>
#include <string>
#include <vector>

#include "backend/kv/valkey/reply_harness.h"
#include "base/assert.h"
#include "fuse/fuzz_input.h"

namespace {

using namespace dpfs::kv;
using namespace dpfs::kv::valkey;

constexpr Collection kCollections[] = {Collection::inode, Collection::entry, Collection::listing,
                                       Collection::usage, Collection::chunk};

// Strings that stay.
class Texts {
 public:
  explicit Texts(dpfs::FuzzInput& input) noexcept : input_(input) {}
  std::string_view take() { return texts_.emplace_back(input_.bytes(input_.take<uint8_t>())); }

 private:
  dpfs::FuzzInput& input_;
  std::deque<std::string> texts_;
};

Key take_key(dpfs::FuzzInput& input, Texts& texts) {
  Key key{.collection = kCollections[input.take<uint8_t>() % std::size(kCollections)]};
  key.object = input.take<uint64_t>();
  key.number = input.take<uint64_t>();
  if (shape_of(key.collection) == Shape::named) {
    key.name = texts.take();
    if (key.name.empty()) key.name = "x";
  }
  return key;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  dpfs::FuzzInput input(data, size);
  Texts texts(input);
  const Keys keys("fuzz");
  std::vector<Compare> compares(input.take<uint8_t>() % 8);
  for (Compare& compare : compares) {
    compare.key = take_key(input, texts);
    if (shape_of(compare.key.collection) == Shape::spread)
      compare.key.collection = Collection::inode;
    compare.present = input.take<uint8_t>() % 2 == 1;
    compare.prefix = texts.take();
  }
  std::vector<Write> writes(input.take<uint8_t>() % 8);
  for (Write& write : writes) {
    write.key = take_key(input, texts);
    write.kind = static_cast<Write::Kind>(input.take<uint8_t>() % 5);
    write.number = input.take<int64_t>();
    write.value = texts.take();
  }
  EncodedCommit commit;
  encode_commit(keys, "incarnation", compares, writes, commit);
  set_digits(commit, commit.number_at, 12345);
  const std::optional<Reply> reply = reply_of(commit.bytes);
  DPFS_ASSERT(reply);
  Reply::Walk walk(*reply);
  uint32_t elements = 0;
  DPFS_ASSERT(walk.array(elements));
  std::string_view word;
  for (uint32_t i = 0; i < elements; ++i) DPFS_ASSERT(walk.string(word));
  DPFS_ASSERT(walk.at_end());
  for (const Write& write : writes) {
    Key decoded{};
    DPFS_ASSERT(keys.decode(write.key.collection, keys.record(write.key).view(), decoded));
    DPFS_ASSERT(decoded.object == write.key.object);
  }
  return 0;
}
