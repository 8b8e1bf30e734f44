// SPDX-License-Identifier: Apache-2.0
// What is wrong with inodes, and with the sums.
#include "backend/kv/check/check.h"

#include <sys/stat.h>

#include <algorithm>

namespace dpfs::kv {

Check::Check(Reactor& reactor, Store& store, const Superblock& superblock, Progress& progress,
             const Survey::Options& options) noexcept
    : reactor_(reactor), store_(store), survey_(store, superblock, findings_, progress, options) {}

// A turn of the reactor's between steps that take long: an owner has to show signs of life.
Op<Unit> Check::run() {
  Result<Unit> ok = co_await survey_.read();
  if (!ok) co_return ok;
  co_await NextTurn(reactor_);
  count_names();
  co_await NextTurn(reactor_);
  compare_names();
  ok = co_await check_doubtful();
  if (!ok) co_return ok;
  choose_places();
  co_await NextTurn(reactor_);
  reach_all();
  co_await NextTurn(reactor_);
  check_inodes();
  check_usage();
  ok = co_await find_names();
  if (!ok) co_return ok;
  findings_.finish();
  co_return Unit{};
}

void Check::check_inodes() {
  if (survey_.find(kRootIno) == nullptr && !survey_.is_bad(kRootIno)) {
    add(FindingKind::root_missing, kRootIno);
  }
  for (const SurveyedInode& inode : survey_.inodes()) {
    ++totals_.inodes;
    totals_.stored_bytes += inode.stored;
    check_inode(inode);
    if (S_ISDIR(inode.mode)) {
      ++totals_.directories;
      check_directory(inode);
    } else {
      check_file(inode);
    }
  }
}

void Check::check_inode(const SurveyedInode& inode) {
  const bool is_directory = S_ISDIR(inode.mode);
  if (inode.is_orphan) {
    const bool in_use = inode.names > 0 || inode.nlink > 0 || inode.names_in_it > 0;
    add(in_use ? FindingKind::orphan_in_use : FindingKind::orphan, inode.ino);
  }
  if (inode.ino != kRootIno && inode.names == 0 && !inode.is_orphan) {
    add(FindingKind::unreachable, inode.ino);
  }
  const uint64_t links = is_directory ? 2 + uint64_t{inode.subdirectories} : inode.names;
  const bool has_place = inode.names > 0 || inode.ino == kRootIno;
  if (has_place && inode.nlink != links) add(FindingKind::links, inode.ino, inode.nlink, links);
  if ((inode.needed_flags & ~inode.flags) != 0) {
    add(FindingKind::attribute_flags, inode.ino, inode.flags, inode.flags | inode.needed_flags);
  }
}

void Check::check_directory(const SurveyedInode& inode) {
  if (inode.ino == kRootIno) {
    if (inode.parent != kRootIno) add(FindingKind::parent, inode.ino, inode.parent, kRootIno);
  } else if (inode.names > 0 && inode.parent != inode.lies_in) {
    add(FindingKind::parent, inode.ino, inode.parent, inode.lies_in);
  }
  if (inode.entries != inode.names_in_it) {
    add(FindingKind::entries, inode.ino, inode.entries, inode.names_in_it);
  }
  if (inode.next_cookie < inode.cookie_end) {
    add(FindingKind::cookie, inode.ino, inode.next_cookie, inode.cookie_end);
  }
  if (inode.has_contents || inode.has_pages) add(FindingKind::contents_of_none, inode.ino);
  if (inode.stored != 0) add(FindingKind::stored, inode.ino, inode.stored, 0);
}

void Check::check_file(const SurveyedInode& inode) {
  if (S_ISLNK(inode.mode)) {
    const uint64_t bytes = inode.has_contents ? inode.contents_bytes : 0;
    if (bytes == 0 || bytes != inode.size) {
      add(FindingKind::link_target, inode.ino, bytes, inode.size);
    }
    if (inode.has_pages) add(FindingKind::contents_of_none, inode.ino);
    if (inode.stored != 0) add(FindingKind::stored, inode.ino, inode.stored, 0);
    return;
  }
  if (!S_ISREG(inode.mode)) {
    if (inode.has_contents || inode.has_pages) add(FindingKind::contents_of_none, inode.ino);
    if (inode.stored != 0) add(FindingKind::stored, inode.ino, inode.stored, 0);
    return;
  }
  if ((inode.flags & inode_flag::kInline) != 0) {
    const uint64_t most = std::min<uint64_t>(inode.size, kInlineBytes);
    if (inode.has_contents && inode.contents_bytes > most) {
      add(FindingKind::contents_long, inode.ino, inode.contents_bytes, most);
    }
    if (inode.has_pages) add(FindingKind::pages_of_small, inode.ino);
    // Without contents it may be promised.
    const bool promised = !inode.has_contents && inode.stored == kPageBytes;
    const uint64_t stored = inode.has_contents ? kPageBytes : 0;
    if (inode.stored != stored && !promised) {
      add(FindingKind::stored, inode.ino, inode.stored, stored);
    }
    return;
  }
  if (inode.has_contents) add(FindingKind::contents_of_large, inode.ino);
  const uint64_t stored = uint64_t{inode.pages} * kPageBytes;
  if (inode.stored != stored) add(FindingKind::stored, inode.ino, inode.stored, stored);
  const uint64_t end = (inode.size + kPageBytes - 1) / kPageBytes;
  constexpr uint32_t kMayBe = inode_flag::kBehindEnd | inode_flag::kShrinking;
  if (inode.pages_end > end && (inode.flags & kMayBe) == 0) {
    add(FindingKind::pages_behind_end, inode.ino, inode.pages_end * kPageBytes, inode.size);
  }
}

void Check::check_usage() {
  const uint64_t highest = survey_.highest_ino();
  if (survey_.next_ino() <= highest) {
    add(FindingKind::allocator, 0, survey_.next_ino(), highest + 1);
  }
  if (survey_.any_bad()) return;  // nobody knows
  const uint64_t bytes = totals_.stored_bytes + survey_.garbage_pages() * kPageBytes;
  if (static_cast<uint64_t>(survey_.used_bytes()) != bytes) {
    add(FindingKind::used_bytes, 0, static_cast<uint64_t>(survey_.used_bytes()), bytes);
  }
  if (static_cast<uint64_t>(survey_.used_inodes()) != totals_.inodes) {
    add(FindingKind::used_inodes, 0, static_cast<uint64_t>(survey_.used_inodes()), totals_.inodes);
  }
}

}  // namespace dpfs::kv
