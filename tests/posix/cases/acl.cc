// SPDX-License-Identifier: Apache-2.0
// POSIX ACLs: who gets in, what is inherited, how they meet mode bits. acl(5).
#include <sys/xattr.h>

#include "tests/posix/cases/acl_blob.h"
#include "tests/posix/suite/case.h"

namespace dpfs::posix {
namespace {

const Acl kBobReads = {acl_owner(6), acl_user(kBob.uid, 4), acl_owning_group(0), acl_mask(4),
                       acl_other(0)};
const Acl kBobWorks = {acl_owner(7), acl_user(kBob.uid, 7), acl_owning_group(5), acl_mask(7),
                       acl_other(0)};

int opens(const char* path, int flags) {
  const int fd = open(path, flags);
  if (fd >= 0) close(fd);
  return fd < 0 ? -1 : 0;
}

}  // namespace

CASE(acl, is_kept) {
  make_file("f");
  set_acl("f", kAccessAcl, kBobReads);
  EQUAL(acl_text(kBobReads), acl_text(get_acl("f", kAccessAcl)));
}

CASE(acl, named_user_is_let_in) {
  need_root();
  make_file("f", "text", 0600);
  set_acl("f", kAccessAcl, kBobReads);
  as(kBob, [] {
    EQUAL("text", content("f"));
    FAILS(EACCES, opens("f", O_WRONLY));
    WORKS(access("f", R_OK));
    FAILS(EACCES, access("f", W_OK));
  });
  as(kAlice, [] { FAILS(EACCES, opens("f", O_RDONLY)); });
}

CASE(acl, named_user_is_kept_out) {
  need_root();
  make_file("f", "text", 0644);
  set_acl("f", kAccessAcl,
          {acl_owner(6), acl_user(kBob.uid, 0), acl_owning_group(4), acl_mask(4), acl_other(4)});
  as(kBob, [] { FAILS(EACCES, opens("f", O_RDONLY)); });
  as(kAlice, [] { EQUAL("text", content("f")); });
}

CASE(acl, named_group_is_let_in) {
  need_root();
  make_file("f", "text", 0600);
  set_acl("f", kAccessAcl,
          {acl_owner(6), acl_owning_group(0), acl_group(kStaff, 6), acl_mask(6), acl_other(0)});
  as({kBob.uid, kStaff}, [] { WORKS(opens("f", O_RDWR)); });
  as({kBob.uid, kBob.gid, {kStaff}}, [] { WORKS(opens("f", O_RDWR)); });
  as(kBob, [] { FAILS(EACCES, opens("f", O_RDONLY)); });
}

CASE(acl, mask_limits_users_and_groups) {
  need_root();
  make_file("f", "text", 0600);
  set_acl("f", kAccessAcl,
          {acl_owner(6), acl_user(kBob.uid, 6), acl_owning_group(0), acl_group(kStaff, 6),
           acl_mask(4), acl_other(0)});
  as(kBob, [] {
    WORKS(opens("f", O_RDONLY));
    FAILS(EACCES, opens("f", O_WRONLY));
  });
  as({kAlice.uid, kStaff}, [] { FAILS(EACCES, opens("f", O_WRONLY)); });
}

CASE(acl, owner_is_not_limited_by_the_mask) {
  need_root();
  make_file("f", "text", 0600);
  WORKS(chown("f", kAlice.uid, kAlice.gid));
  set_acl("f", kAccessAcl,
          {acl_owner(6), acl_user(kBob.uid, 6), acl_owning_group(6), acl_mask(0), acl_other(0)});
  as(kAlice, [] { WORKS(opens("f", O_RDWR)); });
  as(kBob, [] { FAILS(EACCES, opens("f", O_RDONLY)); });
}

CASE(acl, sets_the_mode) {
  make_file("f", "", 0600);
  set_acl("f", kAccessAcl,
          {acl_owner(7), acl_user(kBob.uid, 7), acl_owning_group(1), acl_mask(6), acl_other(1)});
  EQUAL(0761, mode_of("f"));
}

CASE(acl, of_three_entries_is_only_the_mode) {
  make_file("f", "", 0600);
  set_acl("f", kAccessAcl, {acl_owner(6), acl_owning_group(4), acl_other(4)});
  EQUAL(0644, mode_of("f"));
  EQUAL(0, get_acl("f", kAccessAcl).size());
}

CASE(acl, chmod_sets_mask_and_not_the_group) {
  make_file("f", "", 0600);
  set_acl("f", kAccessAcl, kBobWorks);
  WORKS(chmod("f", 0640));
  const Acl expected = {acl_owner(6), acl_user(kBob.uid, 7), acl_owning_group(5), acl_mask(4),
                        acl_other(0)};
  EQUAL(acl_text(expected), acl_text(get_acl("f", kAccessAcl)));
  EQUAL(0640, mode_of("f"));
}

CASE(acl, removal_leaves_the_mode) {
  make_file("f", "", 0600);
  set_acl("f", kAccessAcl, kBobReads);
  WORKS(removexattr("f", kAccessAcl));
  EQUAL(0, get_acl("f", kAccessAcl).size());
  EQUAL(0640, mode_of("f"));
}

CASE(acl, default_one_is_for_directories) {
  make_file("f");
  make_directory("d");
  set_acl("d", kDefaultAcl, kBobWorks);
  const std::string blob = acl_blob(kBobWorks);
  FAILS_EITHER((std::vector<int>{EACCES, EPERM}),
               setxattr("f", kDefaultAcl, blob.data(), blob.size(), 0));
}

CASE(acl, default_one_lets_nobody_in_by_itself) {
  need_root();
  make_directory("d", 0700);
  set_acl("d", kDefaultAcl, kBobWorks);
  as(kBob, [] { FAILS(EACCES, opens("d", O_RDONLY)); });
}

CASE(acl, new_file_inherits_the_default) {
  make_directory("d");
  set_acl("d", kDefaultAcl, kBobWorks);
  umask(077);
  open_file("d/f", O_WRONLY | O_CREAT, 0664);
  // The umask does not count; the mode given limits owner, mask and others.
  const Acl expected = {acl_owner(6), acl_user(kBob.uid, 7), acl_owning_group(5), acl_mask(6),
                        acl_other(0)};
  EQUAL(acl_text(expected), acl_text(get_acl("d/f", kAccessAcl)));
  EQUAL(0660, mode_of("d/f"));
  EQUAL(0, get_acl("d/f", kDefaultAcl).size());
}

CASE(acl, new_directory_inherits_both) {
  make_directory("d");
  set_acl("d", kDefaultAcl, kBobWorks);
  umask(077);
  WORKS(mkdir("d/e", 0777));
  EQUAL(acl_text(kBobWorks), acl_text(get_acl("d/e", kDefaultAcl)));
  EQUAL(acl_text(kBobWorks), acl_text(get_acl("d/e", kAccessAcl)));
  EQUAL(0770, mode_of("d/e"));
}

CASE(acl, default_of_three_entries_replaces_the_umask) {
  make_directory("d");
  set_acl("d", kDefaultAcl, {acl_owner(7), acl_owning_group(7), acl_other(5)});
  umask(077);
  open_file("d/f", O_WRONLY | O_CREAT, 0666);
  EQUAL(0664, mode_of("d/f"));
  WORKS(mkfifo("d/p", 0666));
  EQUAL(0664, mode_of("d/p"));
  EQUAL(0, get_acl("d/f", kAccessAcl).size());
}

CASE(acl, inherited_one_is_in_force) {
  need_root();
  make_directory("d", 0755);
  set_acl("d", kDefaultAcl, kBobWorks);
  open_file("d/f", O_WRONLY | O_CREAT, 0660);
  as(kBob, [] { WORKS(opens("d/f", O_RDWR)); });
  as(kAlice, [] { FAILS(EACCES, opens("d/f", O_RDONLY)); });
}

CASE(acl, of_a_directory_governs_names) {
  need_root();
  make_directory("d", 0700);
  make_file("d/f", "", 0666);
  set_acl("d", kAccessAcl, kBobWorks);
  as(kBob, [] {
    make_file("d/new");
    WORKS(unlink("d/f"));
  });
  as(kAlice, [] { FAILS(EACCES, opens("d/new", O_RDONLY)); });
}

CASE(acl, is_set_by_the_owner_only) {
  need_root();
  make_file("f", "", 0666);
  set_acl("f", kAccessAcl, {acl_owner(6), acl_owning_group(6), acl_other(6)});
  as(kAlice, [] {
    const std::string blob = acl_blob(kBobReads);
    FAILS(EPERM, setxattr("f", kAccessAcl, blob.data(), blob.size(), 0));
  });
  WORKS(chown("f", kAlice.uid, kAlice.gid));
  as(kAlice, [] {
    set_acl("f", kAccessAcl, kBobReads);
    EQUAL(acl_text(kBobReads), acl_text(get_acl("f", kAccessAcl)));
  });
}

CASE(acl, setting_drops_setgid_of_a_foreign_group) {
  need_root();
  make_file("f");
  WORKS(chown("f", kAlice.uid, kStaff));
  WORKS(chmod("f", 02755));
  as(kAlice, [] { set_acl("f", kAccessAcl, kBobWorks); });
  EQUAL(0, mode_of("f") & S_ISGID);
}

CASE(acl, nonsense_is_einval) {
  make_file("f");
  set_acl("f", kAccessAcl, kBobReads);
  const auto refused = [](const char* what, const Acl& acl) {
    const Row row(what);
    const std::string blob = acl_blob(acl);
    FAILS(EINVAL, setxattr("f", kAccessAcl, blob.data(), blob.size(), 0));
  };
  refused("no owner", {acl_owning_group(4), acl_other(4)});
  refused("no mask", {acl_owner(6), acl_user(kBob.uid, 4), acl_owning_group(4), acl_other(4)});
  refused("two owners", {acl_owner(6), acl_owner(6), acl_owning_group(4), acl_other(4)});
  refused("bits that are none", {acl_owner(16), acl_owning_group(4), acl_other(4)});
  FAILS_EITHER((std::vector<int>{EINVAL, EOPNOTSUPP}), setxattr("f", kAccessAcl, "bytes", 5, 0));
  EQUAL(acl_text(kBobReads), acl_text(get_acl("f", kAccessAcl)));
}

CASE(acl, is_seen_after_a_change_by_another_process) {
  make_file("f", "text", 0600);
  set_acl("f", kAccessAcl, kBobReads);
  apart([] { set_acl("f", kAccessAcl, kBobWorks); });
  EQUAL(acl_text(kBobWorks), acl_text(get_acl("f", kAccessAcl)));
  apart([] { WORKS(chmod("f", 0600)); });
  EQUAL(0600, mode_of("f"));
}

}  // namespace dpfs::posix
