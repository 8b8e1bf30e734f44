// SPDX-License-Identifier: Apache-2.0
// Files that are removed while they are open. NFS has no such thing: a server takes a file away
// with its last name. So it gets another name, in a directory that the tenant does not see, until
// it is closed; a daemon that ends before leaves it to the next one that serves the share.
#include <fmt/format.h>

#include "backend/nfs/nfs_fs.h"
#include "base/log.h"

namespace dpfs {
namespace {

constexpr std::string_view kHidden = ".dpfs-unlinked";
constexpr uint32_t kHiddenDirectoryMode = 01777;
constexpr uint32_t kListBytes = 32 * 1024;

// Names, copied out of a listing.
struct Names final : nfs::EntryTaker {
  std::vector<std::pair<uint64_t, std::string>> names;
  bool take(uint64_t cookie, std::string_view name, const nfs::Attributes&) override {
    names.emplace_back(cookie, name);
    return true;
  }
};

nfs::Credential root() noexcept { return {}; }

}  // namespace

bool NfsFs::is_hidden(std::string_view name) noexcept { return name.starts_with(kHidden); }

Op<bool> NfsFs::hide_if_open(const Request& request, nfs::FileHandle parent, Name name) {
  nfs::FileHandle nobody;
  nobody.size = 0;
  Op<bool> hiding = hide_if_open_and_not(request, parent, name, nobody);
  const Result<bool> hidden = co_await hiding;
  co_return hidden;
}

Op<bool> NfsFs::hide_if_open_and_not(const Request& request, nfs::FileHandle parent, Name name,
                                     nfs::FileHandle kept) {
  if (files_.size() == 0) co_return false;
  nfs::Lookup call;
  call.who = credential(request);
  call.parent = parent;
  call.name = name.view();
  const Result<Unit> found = co_await client_.perform(call);
  if (!found) co_return false;  // what comes next says why
  nfs::NodeRow* row = nodes_.find(call.handle);
  if (row == nullptr || row->file == nfs::kNoFile || call.handle == kept) co_return false;
  nfs::File& file = files_.at(row->file);
  if (file.opens == 0 || file.hidden || call.attributes.links > 1) co_return false;
  const Using keeps(*this, file);
  Op<Unit> hiding = hide(file, parent, name, call.who);
  const Result<Unit> hidden = co_await hiding;
  // One that cannot be hidden is removed, and whoever has it open gets ESTALE.
  co_return bool(hidden);
}

Op<Unit> NfsFs::hide(nfs::File& file, nfs::FileHandle parent, Name name, nfs::Credential who) {
  nfs::HiddenName hidden;
  hidden.remover = who;
  const auto written = fmt::format_to_n(hidden.name.data(), hidden.name.size() - 1, "{}-{:016x}-{}",
                                        kHidden, instance_, next_hidden_++);
  nfs::Rename call;
  call.who = who;
  call.parent = parent;
  call.name = name.view();
  call.new_name = {hidden.name.data(), written.size};
  Op<nfs::FileHandle> asking = hidden_directory(who);
  const Result<nfs::FileHandle> directory = co_await asking;
  Result<Unit> done = Errno::noent;
  if (directory) {
    call.new_parent = hidden.directory = *directory;
    Op<Unit> asking_server = ask(call, parent);
    done = co_await asking_server;
  }
  if (!done) {  // where it is, then
    call.new_parent = hidden.directory = parent;
    done = co_await client_.perform(call);
  }
  if (!done) co_return done.error();
  file.hidden = true;
  file.hidden_name = hidden;
  if (file.opens == 0) {  // closed meanwhile
    file.hidden = false;
    Op<Unit> removing = remove_hidden(hidden);
    [[maybe_unused]] const Result<Unit> removed = co_await removing;
  }
  co_return Unit{};
}

// In the root of the share. Everybody may put something there; only owners may take it out again.
Op<nfs::FileHandle> NfsFs::hidden_directory(nfs::Credential who) {
  if (hidden_directory_.size > 0) co_return hidden_directory_;
  Op<nfs::FileHandle> asking = handle_of(NodeId::root);
  const Result<nfs::FileHandle> share = co_await asking;
  if (!share) co_return share.error();
  nfs::Lookup lookup;
  lookup.parent = *share;
  lookup.name = kHidden;
  Result<Unit> done = co_await client_.perform(lookup);
  if (done) {
    hidden_directory_ = lookup.handle;
    co_return lookup.handle;
  }
  nfs::Create create;
  create.parent = *share;
  create.name = kHidden;
  create.initial.has_mode = true;
  create.initial.mode = kHiddenDirectoryMode;
  done = co_await client_.perform(create);
  if (!done) {
    create.who = who;
    done = co_await client_.perform(create);
  }
  if (!done) co_return done.error();
  // The server may have taken its umask off.
  nfs::SetAttributes mode(client_);
  mode.who = create.who;
  mode.node = create.handle;
  mode.changed = create.initial;
  [[maybe_unused]] const Result<Unit> set = co_await client_.perform(mode);
  hidden_directory_ = create.handle;
  co_return create.handle;
}

Op<Unit> NfsFs::remove_hidden(nfs::HiddenName hidden) {
  nfs::Remove call;
  call.parent = hidden.directory;
  call.name = hidden.name.data();
  Result<Unit> done = co_await client_.perform(call);
  if (!done && (done.error() == Errno::acces || done.error() == Errno::perm)) {
    call.who = hidden.remover;
    done = co_await client_.perform(call);
  }
  if (!done && done.error() != Errno::noent) {
    log::warn("{}: {}/{} is left over: {}", client_.server(), options_.path,
              std::string(hidden.name.data()), describe(done.error()));
  }
  co_return Unit{};
}

// Once more when the lease of one that has just died has run out.
void NfsFs::LookForLeftovers::fired() noexcept { fs.remove_leftovers(); }

// What daemons before us have left. A file that is open, by whomever, cannot be opened for us
// alone, and stays.
Detached NfsFs::remove_leftovers() noexcept {
  nfs::NodeRow* share = nodes_.find(NodeId::root);
  nfs::Lookup lookup;
  lookup.parent = share->handle;
  lookup.name = kHidden;
  Result<Unit> done = co_await client_.perform(lookup);
  if (!done) co_return;
  nfs::ReadDirectory list;
  list.node = lookup.handle;
  list.bytes_max = kListBytes;
  list.wanted = {nfs::attribute::kType};
  uint32_t removed = 0;
  bool more = true;
  while (more) {
    Names names;
    list.taker = &names;
    done = co_await client_.perform(list);
    if (!done) break;
    more = !list.at_end && !names.names.empty();
    for (auto& [cookie, name] : names.names) {
      list.cookie = cookie;
      Op<Unit> removing = remove_leftover(lookup.handle, std::move(name));
      const Result<Unit> gone = co_await removing;
      if (gone) ++removed;
    }
  }
  if (removed > 0) log::info("{}: {} files removed that were left over", client_.server(), removed);
}

Op<Unit> NfsFs::remove_leftover(nfs::FileHandle directory, std::string name) {
  nfs::OpenCall open(client_);
  open.who = root();
  open.node = directory;
  open.claim = nfs::OpenCall::Claim::name;
  open.name = name;
  open.access = nfs::share::kRead;
  open.deny = nfs::share::kBoth;
  open.owner = next_owner_++;
  Result<Unit> done = co_await client_.perform(open);
  if (!done) co_return done.error();
  nfs::Remove remove;
  remove.parent = directory;
  remove.name = name;
  const Result<Unit> removed = co_await client_.perform(remove);
  nfs::Open state;
  state.handle = open.handle;
  state.stateid = open.stateid;
  nfs::Close close(client_);
  close.open = &state;
  done = co_await client_.perform(close);
  co_return removed;
}

}  // namespace dpfs
