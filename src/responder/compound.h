// SPDX-License-Identifier: Apache-2.0
// One COMPOUND: its operations are executed one after the other, until one fails.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "backend/nfs/nfs4.h"
#include "backend/nfs/xdr.h"
#include "responder/attributes.h"
#include "responder/rpc.h"
#include "responder/world.h"

namespace dpfs::responder {

// A compound's bytes and where they came from.
struct Request {
  const Call& call;
  nfs::Bytes arguments;  // of COMPOUND
  size_t bytes = 0;      // of the whole message
  uint64_t connection = 0;
};

class Compound {
 public:
  Compound(World& world, const Request& request, std::span<uint8_t> room)
      : world_(world), request_(request), args_(request.arguments), room_(room) {}

  enum class Fate : uint8_t { answered, garbage, dropped, lost };
  Fate run();

  // The results, when answered. `payload` belongs where it says.
  struct Reply {
    nfs::Bytes bytes;
    size_t payload_at = 0;
    nfs::Bytes payload;
  };
  Reply reply() const noexcept { return {room_.first(size_), payload_at_, payload_}; }
  // As far as they were looked at.
  std::span<const nfs::Operation> operations() const noexcept {
    return std::span(operations_).first(looked_at_);
  }

 private:
  using Status = nfs::Status;
  using Writer = nfs::XdrWriter;
  using Handler = Status (Compound::*)(Writer&);
  struct Row;

  static Handler handler_of(nfs::Operation operation);
  void run_operations(Writer& head, size_t count_at, uint32_t operations);
  // False: this was the last one.
  bool run_one(uint32_t index, uint32_t operations);
  Status check_place(nfs::Operation operation, uint32_t index, uint32_t operations) const;
  std::optional<Status> scripted(nfs::Operation operation);
  void put_result(nfs::Operation operation, Status status, nfs::Bytes body);
  void finish_slot();

  // session_operations.cc
  Status exchange_id(Writer& out);
  Status create_session(Writer& out);
  Status bind_conn_to_session(Writer& out);
  Status destroy_session(Writer& out);
  Status destroy_clientid(Writer& out);
  Status sequence(Writer& out);
  Status reclaim_complete(Writer& out);
  Status admit_to_slot(uint32_t number, uint32_t sequence, bool cache_this);

  // name_operations.cc
  Status putrootfh(Writer& out);
  Status putfh(Writer& out);
  Status getfh(Writer& out);
  Status savefh(Writer& out);
  Status restorefh(Writer& out);
  Status lookup(Writer& out);
  Status lookupp(Writer& out);
  Status create(Writer& out);
  Status remove(Writer& out);
  Status rename(Writer& out);
  Status link(Writer& out);
  Status readdir(Writer& out);
  Status readlink(Writer& out);
  Status may_replace(const Node& source, const Node& target) const;

  // file_operations.cc
  Status getattr(Writer& out);
  Status setattr(Writer& out);
  Status access(Writer& out);
  Status read(Writer& out);
  Status write(Writer& out);
  Status commit(Writer& out);
  Status allocate(Writer& out);
  Status deallocate(Writer& out);
  Status seek(Writer& out);
  Status copy(Writer& out);
  Status clone(Writer& out);
  Status set_size(uint64_t size);
  Status change_range(bool allocate);
  struct CopyRange {
    uint64_t from = 0;
    uint64_t to = 0;
    uint64_t count = 0;
  };
  Status take_copy(CopyRange& range);

  // state_operations.cc
  Status open(Writer& out);
  Status close(Writer& out);
  Status open_downgrade(Writer& out);
  Status lock(Writer& out);
  Status lockt(Writer& out);
  Status locku(Writer& out);
  Status test_stateid(Writer& out);
  Status free_stateid(Writer& out);
  struct OpenArguments;
  Status take_open(OpenArguments& open);
  Status find_to_open(OpenArguments& open, NodePointer& node);
  Status create_to_open(OpenArguments& open, NodePointer& node);
  Status reclaim_allowed() const;
  void put_denied(Writer& out, const LockedRange& range) const;

  // xattr_operations.cc
  Status getxattr(Writer& out);
  Status setxattr(Writer& out);
  Status listxattrs(Writer& out);
  Status removexattr(Writer& out);

  // What operations share: compound.cc
  struct StateArgument {
    uint32_t sequence = 0;
    nfs::StateId id;
  };
  StateArgument take_stateid();
  void put_stateid(Writer& out, const State& state);
  // Nullptr and ok: one of those that name nobody's state.
  Status find_state(const StateArgument& argument, State*& state) const;
  // For reading or writing `node` (share::kRead, kWrite).
  Status check_io(const Node& node, const StateArgument& argument, uint32_t access) const;
  Status take_name(std::string_view& name);
  Status need_current() const { return current_ ? Status::ok : Status::nofilehandle; }
  Status need_directory() const;
  Status need_regular() const;
  // r is 4, w is 2, x is 1
  bool permitted(const Node& node, uint32_t bits) const;
  bool owns(const Node& node) const;
  FileSystemAttributes file_system() const;
  static void put_change(Writer& out, uint64_t before, uint64_t after);

  World& world_;
  const Request& request_;
  nfs::XdrReader args_;
  std::span<uint8_t> room_;
  size_t size_ = 0;
  size_t payload_at_ = 0;
  nfs::Bytes payload_;
  Fate fate_ = Fate::answered;
  uint32_t results_ = 0;
  // Of a compound with more, the rest is not kept.
  std::array<nfs::Operation, 32> operations_;
  size_t looked_at_ = 0;
  Status status_ = Status::ok;
  Seen seen_;

  Session* session_ = nullptr;
  Slot* slot_ = nullptr;  // of a request that is new
  uint64_t hash_ = 0;
  bool replayed_ = false;
  bool uncached_replay_ = false;

  NodePointer current_;
  NodePointer saved_;
  StateArgument current_state_;
  StateArgument saved_state_;
};

}  // namespace dpfs::responder
