// SPDX-License-Identifier: Apache-2.0
// Requests of any bytes to the responder: it is a server, and outlives what a client sends.
#include <algorithm>
#include <vector>

#include "backend/nfs/nfs4.h"
#include "backend/nfs/xdr.h"
#include "base/assert.h"
#include "responder/compound.h"
#include "responder/rpc.h"
#include "responder/world.h"

namespace dpfs::responder {

namespace {

constexpr size_t kRoomBytes = 1 << 16;

// A world with a session of 4 slots, and files to do something to.
struct Played {
  Played() : world(options()) {
    Client& client = world.state.new_client("client", nfs::Verifier{});
    client.confirmed = client.reclaim_complete = true;
    session = &world.state.new_session(client, {.request_bytes_max = 1 << 16,
                                                .response_bytes_max = 1 << 16,
                                                .cached_bytes_max = 4096,
                                                .operations_max = 32,
                                                .requests_max = 4});
    Tree& tree = world.tree;
    tree.create(*tree.root(), "f", nfs::FileType::regular);
    tree.make_directories("d/e");
  }
  static Options options() {
    Options all;
    all.read_bytes_max = all.write_bytes_max = 1 << 14;
    all.record = false;
    return all;
  }
  World world;
  Session* session = nullptr;
};

// The operations are the input's, behind a SEQUENCE that is right.
void execute(Played& played, nfs::Bytes operations, uint32_t count) {
  static std::vector<uint8_t> message(kRoomBytes);
  static std::vector<uint8_t> room(kRoomBytes);
  nfs::XdrWriter head(message);
  head.text("");
  head.u32(2);
  head.u32(1 + count);
  head.enumerator(nfs::Operation::sequence);
  head.fixed(played.session->id.bytes);
  head.u32(played.session->slots[0].sequence + 1);
  head.u32(0);
  head.u32(3);
  head.boolean(false);
  const size_t bytes = std::min(operations.size(), kRoomBytes - head.size());
  std::copy_n(operations.begin(), bytes, message.begin() + static_cast<long>(head.size()));
  const Call call;
  const nfs::Bytes arguments = nfs::Bytes(message).first(head.size() + bytes);
  const Request request{call, arguments, arguments.size(), 1};
  Compound compound(played.world, request, room);
  if (compound.run() != Compound::Fate::answered) return;
  const Compound::Reply reply = compound.reply();
  DPFS_ASSERT(reply.bytes.size() <= room.size());
  DPFS_ASSERT(reply.payload_at <= reply.bytes.size());
}

}  // namespace

}  // namespace dpfs::responder

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  dpfs::nfs::XdrReader header({data, size});
  dpfs::responder::Call call;
  [[maybe_unused]] const bool is_call = dpfs::responder::take_call(header, call);
  dpfs::responder::Played played;
  // Several compounds, each with its length in front.
  while (size > 2) {
    const size_t bytes = std::min<size_t>(data[0], size - 2);
    const uint32_t count = data[1] % 16;
    dpfs::responder::execute(played, {data + 2, bytes}, count);
    data += 2 + bytes;
    size -= 2 + bytes;
    if (played.world.state.find_session(played.session->id) == nullptr) break;
  }
  return 0;
}
