// SPDX-License-Identifier: Apache-2.0
// A server that says anything, in any pieces: read or refused, and the same in whatever pieces.
#include <algorithm>
#include <vector>

#include "backend/kv/valkey/facts.h"
#include "backend/kv/valkey/keys.h"
#include "backend/kv/valkey/reply_harness.h"
#include "backend/kv/valkey/slot.h"
#include "backend/kv/valkey/topology.h"
#include "base/assert.h"
#include "fuse/fuzz_input.h"

namespace {

using namespace dpfs::kv;
using namespace dpfs::kv::valkey;

// All that is ever made of a reply.
void use(const Reply& reply, const dpfs::Address& asked) {
  static_cast<void>(trouble(reply));
  Topology topology;
  if (parse_slots(reply, asked, topology)) {
    for (const Topology::Range& range : topology.ranges) {
      DPFS_ASSERT(range.first <= range.last && range.last < kSlots);
      DPFS_ASSERT(range.primary < topology.servers.size());
      static_cast<void>(replicas_of(reply.text(), range.primary_id));
    }
  }
  dpfs::Address address;
  static_cast<void>(parse_redirect(reply.text(), asked, address));
  Facts facts;
  if (parse_facts(reply.text(), facts)) static_cast<void>(objection(facts));
  const ServerSpace space = parse_space(reply.text());
  DPFS_ASSERT(space.used_bytes <= space.total_bytes);
  static_cast<void>(replicas_of(reply.text(), "aa"));
  const Keys keys("fuzz");
  for (const Collection collection : {Collection::inode, Collection::chunk, Collection::entry}) {
    Key key{};
    if (!keys.decode(collection, reply.text(), key)) continue;
    DPFS_ASSERT(keys.record(key).view() == reply.text());
  }
  Reply::Walk walk(reply);
  while (walk.skip()) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  dpfs::FuzzInput input(data, size);
  const size_t piece = size_t{1} + input.take<uint8_t>();
  const std::string text = input.bytes(size);
  const std::string_view bytes = text;
  dpfs::Address asked;
  DPFS_ASSERT(parse_address("192.0.2.1", 6379, asked));
  NoTaker taker;
  ReplyReader reader(taker);
  for (size_t at = 0; at < bytes.size(); at += piece) {
    const std::string_view part = bytes.substr(at, piece);
    if (!reader.feed(part.data(), part.size())) return 0;
    while (true) {
      const ReplyReader::Next next = reader.next();
      if (next == ReplyReader::Next::broken) return 0;
      if (next == ReplyReader::Next::incomplete) break;
      use(reader.reply(), asked);
    }
  }
  return 0;
}
