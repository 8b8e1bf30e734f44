// SPDX-License-Identifier: Apache-2.0
// The back end kv: a file system whose inodes, names and contents are records of a key-value store.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "backend/kv/listed.h"
#include "backend/kv/lock_table.h"
#include "backend/kv/posix_acl.h"
#include "backend/kv/volume.h"
#include "base/spares.h"
#include "fuse/filesystem.h"
#include "fuse/handle_table.h"

namespace dpfs {

struct KvOptions {
  bool xattrs = true;
  bool posix_acls = true;
  bool security_labels = false;
};

// One tenant's view of a Volume, which it may share with others on its reactor. Node ids are inode
// numbers; any of the volume's may be named, looked up before or not: it is all the tenant's, whose
// kernel checks permissions.
//
// docs/kv.md says what users may rely on.
class KvFs final : public FileSystem {
 public:
  // shared_ptr: the last file system of a volume takes it along.
  KvFs(std::shared_ptr<kv::Volume> volume, const KvOptions& options);
  ~KvFs() override;

  void begin(Negotiated& negotiated) override;
  void end() noexcept override;
  void interrupt(uint64_t unique) noexcept override;
  void end_waits() noexcept override;

  // names (lookups.cc, creating.cc, removing.cc, renaming.cc)
  Op<fuse::EntryOut> lookup(Request&, const LookupArgs& args) override;
  Op<Unit> forget(Request&, const ForgetArgs&) override { return Unit{}; }
  Op<fuse::EntryOut> symlink(Request& request, const SymlinkArgs& args) override;
  Op<fuse::EntryOut> mknod(Request& request, const MknodArgs& args) override;
  Op<fuse::EntryOut> mkdir(Request& request, const MkdirArgs& args) override;
  Op<CreateOut> create(Request& request, const CreateArgs& args) override;
  Op<CreateOut> tmpfile(Request& request, const TmpfileArgs& args) override;
  Op<Unit> unlink(Request&, const UnlinkArgs& args) override;
  Op<Unit> rmdir(Request&, const UnlinkArgs& args) override;
  Op<Unit> rename2(Request& request, const RenameArgs& args) override;
  Op<fuse::EntryOut> link(Request&, const LinkArgs& args) override;

  // attributes (attributes.cc, xattrs.cc)
  Op<fuse::AttrOut> getattr(Request&, const GetattrArgs& args) override;
  Op<fuse::StatxOut> statx(Request&, const StatxArgs& args) override;
  Op<fuse::AttrOut> setattr(Request&, const SetattrArgs& args) override;
  Op<uint32_t> readlink(Request&, const ReadlinkArgs& args) override;
  Op<Unit> access(Request& request, const AccessArgs& args) override;
  Op<fuse::StatfsOut> statfs(Request&, const NodeArgs& args) override;
  Op<Unit> setxattr(Request&, const SetxattrArgs& args) override;
  Op<uint32_t> getxattr(Request&, const GetxattrArgs& args) override;
  Op<uint32_t> listxattr(Request& request, const ListxattrArgs& args) override;
  Op<Unit> removexattr(Request&, const RemovexattrArgs& args) override;

  // open files (opening.cc)
  Op<fuse::OpenOut> open(Request&, const OpenArgs& args) override;
  Op<Unit> release(Request&, const ReleaseArgs& args) override;
  Op<Unit> flush(Request&, const FlushArgs& args) override;
  Op<Unit> fsync(Request&, const FsyncArgs& args) override;
  Op<Unit> syncfs(Request&, const NodeArgs& args) override;

  // contents (reading.cc, writing.cc, space.cc)
  Op<uint32_t> read(Request&, const ReadArgs& args) override;
  Op<fuse::WriteOut> write(Request&, const WriteArgs& args) override;
  Op<Unit> fallocate(Request&, const FallocateArgs& args) override;
  Op<fuse::LseekOut> lseek(Request&, const LseekArgs& args) override;

  // directories (directories.cc)
  Op<fuse::OpenOut> opendir(Request&, const OpenArgs& args) override;
  Op<uint32_t> readdir(Request&, const ReaddirArgs& args) override;
  Op<uint32_t> readdirplus(Request&, const ReaddirArgs& args) override;
  Op<Unit> releasedir(Request&, const ReleaseArgs& args) override;
  Op<Unit> fsyncdir(Request&, const FsyncArgs& args) override;

  // advisory locks (locks.cc)
  Op<fuse::LkOut> getlk(Request&, const LockArgs& args) override;
  Op<Unit> setlk(Request&, const LockArgs& args) override;
  Op<Unit> setlkw(Request& request, const LockArgs& args) override;

 private:
  using Inode = kv::Inode;
  using Node = kv::Node;

  // What is to be made.
  struct New {
    uint32_t mode = 0;  // with its type
    uint32_t umask = 0;
    uint32_t rdev = 0;
    std::string_view target = {};  // of a symbolic link
  };
  // Lists that an operation looks at, and one's bytes.
  struct AclRoom {
    kv::PosixAcl directory;
    kv::PosixAcl access;
    std::array<char, kv::PosixAcl::kBytesMax> access_bytes;
    std::array<char, kv::PosixAcl::kBytesMax> default_bytes;
  };

  fuse::Attr attr_of(const Node& node) const noexcept;
  fuse::AttrOut attr_out(const Node& node) const noexcept;
  fuse::EntryOut entry_out(const Node& node) const noexcept;
  fuse::StatxOut statx_out(const Node& node) const noexcept;

  // The node of a handle, or by its number.
  kv::NodeRef node_of(NodeId id) noexcept { return volume_->node(static_cast<uint64_t>(id)); }
  Op<fuse::EntryOut> look_up(uint64_t directory_ino, Name name);
  Op<fuse::EntryOut> look_up_dots(uint64_t ino, bool parent);
  Op<fuse::AttrOut> getattr_later(uint64_t ino);
  Op<fuse::StatxOut> statx_later(uint64_t ino);
  Op<fuse::AttrOut> set_attributes(NodeId id, fuse::SetattrIn in);
  Op<Unit> change_attributes(Node& node, const fuse::SetattrIn& in);

  // The node that was made, which the caller has in `made`. Nothing is locked by the caller.
  Op<Unit> make(Request& request, NodeId parent, Name name, New what, kv::NodeRef& made);
  Op<Unit> make_locked(Request& request, Node& directory, Name name, New what, kv::NodeRef& made);
  Op<Unit> prepare_new(Request& request, Node& directory, New what, Node& node, kv::Change& change,
                       AclRoom& acls, Inode& inode);
  Op<fuse::EntryOut> make_entry(Request& request, NodeId parent, Name name, New what);
  Op<CreateOut> create_file(Request& request, CreateArgs args);
  Op<CreateOut> create_nameless(Request& request, TmpfileArgs args);
  Op<Unit> remove_file(UnlinkArgs args);
  Op<Unit> remove_directory(UnlinkArgs args);
  Op<fuse::EntryOut> add_name(LinkArgs args);
  Op<Unit> load_directory(Node& directory);
  static void touch_names(Inode& directory, int64_t entries, const kv::Time& now) noexcept;
  // Adds to `change` that the node has one name less; it goes with the last, unless it is open.
  void drop_name(kv::Change& change, Node& node, const kv::Time& now) noexcept;
  void leave_nameless(kv::Change& change, Node& node, const Inode& last) noexcept;
  void remove_empty_directory(kv::Change& change, Node& node, const kv::Time& now) noexcept;

  struct Move;
  Op<Unit> rename(RenameArgs args, uint32_t uid, uint32_t gid);
  Op<Unit> find_both(Move& move);
  Op<Unit> check_not_below(Node& directory, uint64_t ino, Errno why);
  Op<Unit> exchange(Move& move);
  Op<Unit> replace(Move& move);
  void put_whiteout(kv::Change& change, Node& whiteout, const Move& move,
                    const kv::Time& now) noexcept;

  Result<fuse::OpenOut> hand_out(kv::NodeRef node) noexcept;
  Op<fuse::OpenOut> open_later(uint64_t ino);
  Op<Unit> close(Handle handle, NodeId id);
  Op<Unit> close_orphan(kv::NodeRef node);
  Op<Unit> sync();

  Op<uint32_t> read_file(kv::NodeRef node, ReadArgs args);
  Op<bool> read_inline(Node& node, uint64_t offset, IoView into);
  Op<bool> read_chunks(Node& node, uint64_t offset, IoView into);
  // Of these, the caller has the node's lock.
  Op<fuse::WriteOut> write_file(kv::NodeRef node, WriteArgs args);
  Op<Unit> write_inline(Node& node, uint64_t offset, IoView from, bool drops_privileges);
  Op<Unit> write_chunks(Node& node, uint64_t offset, IoView from, bool drops_privileges);
  Op<Unit> leave_inline(Node& node);
  Op<Unit> mark_pages(const Node& node, uint64_t offset, uint64_t bytes, kv::Change& change,
                      Inode& inode);
  Op<Unit> truncate(Node& node, uint64_t size, bool drops_privileges);
  Op<Unit> shrink(Node& node, uint64_t size, bool drops_privileges);
  Op<Unit> finish_shrinking(Node& node);
  void cut_last_chunk(const Node& node, uint64_t size, kv::Change& change) const noexcept;
  static void account_dropped(const kv::PageDrop& drop, kv::Change& change, Inode& inode) noexcept;
  Op<Unit> allocate(FallocateArgs args);
  Op<Unit> allocate_inline(Node& node, const FallocateArgs& args);
  Op<Unit> allocate_chunks(Node& node, FallocateArgs args);
  Op<Unit> punch_chunks(Node& node, FallocateArgs args);
  Op<Unit> allocate_group(Node& node, uint64_t begin, uint64_t end, uint32_t mode);
  Op<Unit> change_group(const Node& node, uint64_t begin, uint64_t end, uint32_t mode,
                        kv::Change& change, Inode& inode);
  void zero_chunks(const Node& node, uint64_t begin, uint64_t end, const kv::PageMap& before,
                   const kv::PageMap& after, kv::Change& change) const noexcept;
  Op<fuse::LseekOut> seek(LseekArgs args);
  Op<Unit> wait_for_lock(uint64_t unique, LockArgs args);

  Op<fuse::OpenOut> open_directory(uint64_t ino);
  Op<Unit> load_listed(kv::Listed& listed);
  Op<uint32_t> list(kv::NodeRef node, ReaddirArgs args);
  Op<uint32_t> list_plus(kv::NodeRef node, ReaddirArgs args);

  bool keeps_xattr(std::string_view name) const noexcept;
  Op<Unit> read_acl(Node& node, std::string_view name, kv::PosixAcl& acl);
  Op<Unit> check_set_xattr(Node& node, std::string_view name, uint32_t flags);
  Op<Unit> set_xattr(SetxattrArgs args);
  Op<Unit> set_acl(SetxattrArgs args);
  Op<uint32_t> get_xattr(GetxattrArgs args);
  Op<uint32_t> list_xattrs(ListxattrArgs args, bool sees_all);
  Op<Unit> remove_xattr(RemovexattrArgs args);

  std::shared_ptr<kv::Volume> volume_;
  const KvOptions options_;
  Negotiated negotiated_;
  bool attached_ = false;
  HandleTable<kv::NodeRef> files_;
  Spares<AclRoom> acl_rooms_;
  Spares<kv::Listed> listed_;
  kv::LockSession locks_;
};

}  // namespace dpfs
