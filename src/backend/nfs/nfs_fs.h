// SPDX-License-Identifier: Apache-2.0
// The back end nfs: a directory that an NFSv4.1 (or 4.2) server exports.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <unordered_map>

#include "backend/nfs/client.h"
#include "backend/nfs/file_operations.h"
#include "backend/nfs/files.h"
#include "backend/nfs/nodes.h"
#include "backend/nfs/open_states.h"
#include "backend/nfs/operations.h"
#include "backend/nfs/options.h"
#include "fuse/early_interrupts.h"
#include "fuse/filesystem.h"
#include "fuse/handle_table.h"
#include "io/reactor.h"
#include "io/timer.h"

namespace dpfs {

// One client of one server for each device: tenants share no session, no locks and no fate. It is
// connected while a session of the tenant's lasts, and asks each thing as the tenant's user
// (AUTH_SYS); reading, writing and storing of a file, as the user who opened it.
//
// docs/nfs.md says what users may rely on.
class NfsFs final : public FileSystem, private nfs::Recoverer {
 public:
  // Throws std::system_error. Nothing is asked of the server yet.
  NfsFs(Reactor& reactor, const NfsOptions& options);
  ~NfsFs() override;

  void begin(Negotiated& negotiated) override;
  void end() noexcept override;
  void interrupt(uint64_t unique) noexcept override;
  void end_waits() noexcept override;

  // Each is a coroutine, and so has its arguments by value.
#define DPFS_OP(name, Args, Out, effect) \
  Op<Out> name(Request& request, const Args& args) override { return nfs_##name(request, args); }
#include "fuse/ops.def"

  // For tests and counters.
  nfs::Client& client() noexcept { return client_; }
  uint32_t nodes() const noexcept { return nodes_.size(); }
  size_t open_files() const noexcept { return opens_.size(); }
  uint32_t files() const noexcept { return files_.size(); }

 private:
#define DPFS_OP(name, Args, Out, effect) Op<Out> nfs_##name(Request& request, Args args);
#include "fuse/ops.def"

  struct Directory {  // an open one
    nfs::Verifier verifier;
  };
  // A request that waits for a lock.
  struct LockWait : ListLink<> {
    uint64_t unique = 0;
    Sleep* sleep = nullptr;
    Errno why = Errno::none;  // to give up
    nfs::LockOwner owner;
    nfs::LockOwner holder;  // who has what it wants, if that is one of us
    bool holder_is_ours = false;
  };

  // nodes (nfs_fs.cc)
  Op<nfs::FileHandle> handle_of(NodeId node);
  Op<nfs::FileHandle> wait_for_root();
  static nfs::Credential credential(const Request& request) noexcept;
  // Of a request that makes something.
  static nfs::Credential creator(const Request& request) noexcept;
  void note(nfs::NodeRow& row, const nfs::Attributes& attributes) noexcept;
  fuse::Attr attr_of(const nfs::NodeRow& row, const nfs::Attributes& attributes) noexcept;
  fuse::AttrOut attr_out(NodeId node, const nfs::Attributes& attributes) noexcept;
  // Counts a lookup.
  Result<fuse::EntryOut> entry_out(const nfs::FileHandle& handle,
                                   const nfs::Attributes& attributes) noexcept;
  bool claim(nfs::Credential& who, uint32_t group) const noexcept;
  Op<Unit> ask(nfs::Call& call, nfs::FileHandle object);
  Op<Unit> drop_privileges(NodeId node, nfs::FileHandle handle);
  uint64_t name_valid_ms(nfs::FileType type) const noexcept;
  uint64_t valid_ms(const nfs::NodeRow& row, uint32_t otherwise) const noexcept;

  // recovery (nfs_recovery.cc)
  Op<Unit> reclaim() noexcept override;
  Op<Unit> reopen() noexcept override;
  void revoked() noexcept override { states_.doubt_all(); }
  Op<Unit> resume() noexcept override;
  Op<Unit> find_root();
  Op<Unit> write_again();
  Op<uint64_t> write_file_again(nfs::File& file);
  Op<uint32_t> write_kept_again(nfs::File& file, nfs::KeptWrite& kept);
  Detached leave(std::function<void()> done) noexcept;

  // names (names.cc)
  Op<fuse::EntryOut> make(Request& request, NodeId parent, nfs::Create& call);

  void remember_removed(const nfs::FileHandle& handle, const nfs::Attributes& attributes) noexcept;

  // open files (opening.cc)
  nfs::OpenRef find_open(Handle handle, NodeId node) noexcept;
  Op<fuse::OpenOut> hand_out(nfs::NodeRow& row, const nfs::OpenCall& call, uint32_t access,
                             const nfs::Credential& who);
  Op<Unit> close(nfs::OpenRef open);
  void let_go(nfs::File& file) noexcept;
  // Keeps a file across what is awaited; what is closed meanwhile goes with the last.
  class Using {
   public:
    Using(NfsFs& fs, nfs::File& file) noexcept : fs_(fs), file_(file) { ++file_.users; }
    Using(const Using&) = delete;
    Using& operator=(const Using&) = delete;
    ~Using() {
      --file_.users;
      fs_.let_go(file_);
    }

   private:
    NfsFs& fs_;
    nfs::File& file_;
  };
  uint32_t share_access(uint32_t flags) const noexcept;

  // data (data.cc, storing.cc)
  Op<uint32_t> write_piece(nfs::OpenRef open, nfs::File& file, uint64_t offset, IoView from);
  Op<Unit> store(nfs::File& file);
  Op<Unit> store_for(nfs::OpenRef open, nfs::File& file);
  Op<Unit> store_kept(nfs::File& file);
  Op<Unit> settle(NodeId node);
  void drop_first(nfs::File& file) noexcept;

  // locks (locks.cc)
  nfs::Lock* lock_of(nfs::Open& open, const nfs::LockOwner& owner) noexcept;
  nfs::OpenRef find_locked(const nfs::File& file, const nfs::LockOwner& owner, uint64_t begin,
                           uint64_t end) noexcept;
  Op<Unit> lock_now(nfs::OpenRef open, LockArgs args, nfs::Holder* holder);
  Op<Unit> lock_locked(nfs::OpenRef open, nfs::File& file, LockArgs args, nfs::Holder* holder);
  Op<Unit> allow_writing(nfs::Open& open);
  bool would_wait_for_itself(const LockWait& wait) noexcept;
  Op<Unit> unlock(NodeId node, nfs::LockOwner owner, uint64_t begin, uint64_t end);
  Op<Unit> drop_locks(NodeId node, nfs::LockOwner owner);
  Op<Unit> forget_lock_owner(NodeId node, nfs::LockOwner owner);
  Op<Unit> drop_all_locks(nfs::OpenRef open);

  // files that were removed while they were open (hidden_files.cc)
  Op<bool> hide_if_open(const Request& request, nfs::FileHandle parent, Name name);
  Op<bool> hide_if_open_and_not(const Request& request, nfs::FileHandle parent, Name name,
                                nfs::FileHandle kept);
  Op<Unit> hide(nfs::File& file, nfs::FileHandle parent, Name name, nfs::Credential who);
  Op<nfs::FileHandle> hidden_directory(nfs::Credential who);
  Op<Unit> remove_hidden(nfs::HiddenName hidden);
  Detached remove_leftovers() noexcept;
  Op<Unit> remove_leftover(nfs::FileHandle directory, std::string name);
  static bool is_hidden(std::string_view name) noexcept;

  struct LookForLeftovers final : Timer {
    explicit LookForLeftovers(NfsFs& of) noexcept : fs(of) {}
    void fired() noexcept override;
    NfsFs& fs;
  };

  // directories (directories.cc)
  class Lister;
  Op<uint32_t> list(const Request& request, ReaddirArgs args, bool plus);

  Reactor& reactor_;
  Timers timers_;
  const NfsOptions options_;
  nfs::Client client_;
  nfs::Nodes nodes_;
  nfs::Files files_;
  nfs::OpenStates states_;
  nfs::KeptWrites kept_writes_;
  HandleTable<nfs::OpenRef> opens_;
  HandleTable<Directory> directories_;
  List<LockWait> lock_waits_;
  EarlyInterrupts early_interrupts_;
  Negotiated negotiated_;
  std::unordered_map<uint64_t, nfs::Attributes> removed_directories_;  // by node
  uint64_t next_owner_ = 1;
  uint64_t next_write_ = 1;
  uint64_t next_hidden_ = 1;
  uint64_t instance_;       // of this object: for names and verifiers that nobody else makes
  bool restarted_ = false;  // the server was: what it had not stored is gone
  bool leftovers_seen_ = false;
  LookForLeftovers look_for_leftovers_{*this};
  // A server that does not answer when a session ends is not waited for.
  struct GiveUp final : Timer {
    explicit GiveUp(NfsFs& of) noexcept : fs(of) {}
    void fired() noexcept override { fs.client_.abandon(); }
    NfsFs& fs;
  };
  GiveUp give_up_{*this};
  nfs::FileHandle hidden_directory_;  // empty: not known yet
  bool no_copy_ = false;              // the server has no such operation
  bool no_seek_ = false;
  bool no_allocate_ = false;
  bool no_xattrs_ = false;
};

}  // namespace dpfs
