// SPDX-License-Identifier: Apache-2.0
// Extended attributes.
#include <sys/xattr.h>

#include <algorithm>

#include "tests/posix/suite/case.h"

namespace dpfs::posix {
namespace {

void need_user_attributes() {
  make_file("probe");
  const int result = setxattr("probe", "user.probe", "", 0, 0);
  if (result != 0 && errno == EOPNOTSUPP) skip("no user attributes here");
  WORKS(result);
  WORKS(unlink("probe"));
}

void set(const std::string& path, const std::string& name, const std::string& value,
         int flags = 0) {
  WORKS(setxattr(path.c_str(), name.c_str(), value.data(), value.size(), flags));
}

std::string get(const std::string& path, const std::string& name) {
  std::string value(70000, '\0');
  value.resize(WORKS(getxattr(path.c_str(), name.c_str(), value.data(), value.size())));
  return value;
}

// Sorted; those of the namespaces "user." and "trusted." only.
std::vector<std::string> list(const std::string& path) {
  std::string names(70000, '\0');
  names.resize(WORKS(llistxattr(path.c_str(), names.data(), names.size())));
  std::vector<std::string> found;
  for (size_t at = 0; at < names.size();) {
    const std::string name = names.c_str() + at;
    at += name.size() + 1;
    if (name.rfind("user.", 0) == 0 || name.rfind("trusted.", 0) == 0) found.push_back(name);
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace

CASE(xattr, values_are_kept) {
  need_user_attributes();
  make_file("f");
  for (const std::string& value : {std::string("text"), std::string(), std::string("\0x\0", 3),
                                   pattern(1000), std::string("again")}) {
    set("f", "user.a", value);
    EQUAL(value, get("f", "user.a"));
  }
}

CASE(xattr, size_is_told) {
  need_user_attributes();
  make_file("f");
  set("f", "user.a", "12345");
  EQUAL(5, WORKS(getxattr("f", "user.a", nullptr, 0)));
  char value[8];
  FAILS(ERANGE, getxattr("f", "user.a", value, 4));
  EQUAL(5, WORKS(getxattr("f", "user.a", value, 5)));
}

CASE(xattr, missing_ones_are_enodata) {
  need_user_attributes();
  make_file("f");
  char value[8];
  FAILS(ENODATA, getxattr("f", "user.a", value, sizeof value));
  FAILS(ENODATA, removexattr("f", "user.a"));
  FAILS(ENODATA, setxattr("f", "user.a", "v", 1, XATTR_REPLACE));
}

CASE(xattr, create_and_replace) {
  need_user_attributes();
  make_file("f");
  set("f", "user.a", "1", XATTR_CREATE);
  FAILS(EEXIST, setxattr("f", "user.a", "2", 1, XATTR_CREATE));
  EQUAL("1", get("f", "user.a"));
  set("f", "user.a", "3", XATTR_REPLACE);
  EQUAL("3", get("f", "user.a"));
  FAILS(EINVAL, setxattr("f", "user.a", "4", 1, 0x80));
}

CASE(xattr, are_listed_and_removed) {
  need_user_attributes();
  make_file("f");
  EQUAL(0, list("f").size());
  set("f", "user.b", "1");
  set("f", "user.a", "");
  set("f", "user.a.longer", "2");
  EQUAL((std::vector<std::string>{"user.a", "user.a.longer", "user.b"}), list("f"));
  WORKS(removexattr("f", "user.a"));
  EQUAL((std::vector<std::string>{"user.a.longer", "user.b"}), list("f"));
}

CASE(xattr, list_has_a_size) {
  need_user_attributes();
  make_file("f");
  set("f", "user.name", "value");
  const ssize_t size = WORKS(listxattr("f", nullptr, 0));
  ORDERED(size, >=, 10);
  std::string names(size, '\0');
  EQUAL(size, WORKS(listxattr("f", names.data(), names.size())));
  FAILS(ERANGE, listxattr("f", names.data(), names.size() - 1));
}

CASE(xattr, names_have_limits) {
  need_user_attributes();
  make_file("f");
  const std::string longest = "user." + std::string(250, 'n');
  set("f", longest, "v");
  EQUAL("v", get("f", longest));
  EQUAL((std::vector<std::string>{longest}), list("f"));
  FAILS(ERANGE, setxattr("f", (longest + "n").c_str(), "v", 1, 0));
  FAILS(ERANGE, setxattr("f", "", "v", 1, 0));
  FAILS_EITHER((std::vector<int>{EINVAL, EOPNOTSUPP}), setxattr("f", "user.", "v", 1, 0));
}

CASE(xattr, unknown_namespaces_are_eopnotsupp) {
  make_file("f");
  FAILS(EOPNOTSUPP, setxattr("f", "unknown.name", "v", 1, 0));
  FAILS(EOPNOTSUPP, setxattr("f", "noname", "v", 1, 0));
  char value[8];
  FAILS(EOPNOTSUPP, getxattr("f", "unknown.name", value, sizeof value));
}

CASE(xattr, values_over_64_kib_are_e2big) {
  need_user_attributes();
  make_file("f");
  const std::string value(65537, 'v');
  FAILS(E2BIG, setxattr("f", "user.a", value.data(), value.size(), 0));
}

CASE(xattr, large_values_work_or_say_why) {
  need_user_attributes();
  make_file("f");
  for (const size_t size : {4000, 16000, 65536}) {
    const Row row(std::to_string(size) + " bytes");
    const std::string value = pattern(size);
    if (setxattr("f", "user.a", value.data(), value.size(), 0) == 0) {
      HOLDS(get("f", "user.a") == value);
    } else {
      const int error = errno;
      HOLDS(error == ENOSPC || error == E2BIG || error == EDQUOT);
    }
  }
}

CASE(xattr, of_directories) {
  need_user_attributes();
  make_directory("d");
  set("d", "user.a", "1");
  EQUAL("1", get("d", "user.a"));
  make_file("d/f");
  EQUAL(0, list("d/f").size());
}

CASE(xattr, of_descriptors) {
  need_user_attributes();
  make_file("f");
  const Fd file = open_file("f", O_RDONLY);
  WORKS(fsetxattr(file.get(), "user.a", "1", 1, 0));
  EQUAL("1", get("f", "user.a"));
  char value[8];
  EQUAL(1, WORKS(fgetxattr(file.get(), "user.a", value, sizeof value)));
  WORKS(fremovexattr(file.get(), "user.a"));
  EQUAL(0, list("f").size());
}

CASE(xattr, user_ones_are_for_files_and_directories) {
  need_user_attributes();
  make_symlink("nowhere", "s");
  WORKS(mkfifo("p", 0666));
  FAILS(EPERM, lsetxattr("s", "user.a", "1", 1, 0));
  FAILS(EPERM, setxattr("p", "user.a", "1", 1, 0));
  char value[8];
  FAILS(ENODATA, lgetxattr("s", "user.a", value, sizeof value));
  EQUAL(0, list("s").size());
}

CASE(xattr, trusted_ones_are_roots) {
  need_root();
  make_file("f", "", 0666);
  const int result = setxattr("f", "trusted.a", "1", 1, 0);
  if (result != 0 && errno == EOPNOTSUPP) skip("no trusted attributes here");
  WORKS(result);
  EQUAL("1", get("f", "trusted.a"));
  EQUAL((std::vector<std::string>{"trusted.a"}), list("f"));
  as(kAlice, [] {
    char value[8];
    FAILS(ENODATA, getxattr("f", "trusted.a", value, sizeof value));
    FAILS(EPERM, setxattr("f", "trusted.a", "2", 1, 0));
    EQUAL(0, list("f").size());
  });
}

CASE(xattr, trusted_ones_of_symlinks) {
  need_root();
  make_symlink("nowhere", "s");
  const int result = lsetxattr("s", "trusted.a", "1", 1, 0);
  if (result != 0 && errno == EOPNOTSUPP) skip("no trusted attributes here");
  WORKS(result);
  char value[8];
  EQUAL(1, WORKS(lgetxattr("s", "trusted.a", value, sizeof value)));
  FAILS(ENOENT, getxattr("s", "trusted.a", value, sizeof value));
}

CASE(xattr, access_follows_the_mode) {
  need_root();
  need_user_attributes();
  make_file("f", "", 0644);
  set("f", "user.a", "1");
  as(kAlice, [] {
    EQUAL("1", get("f", "user.a"));
    FAILS(EACCES, setxattr("f", "user.a", "2", 1, 0));
    FAILS(EACCES, removexattr("f", "user.a"));
  });
  WORKS(chmod("f", 0600));
  as(kAlice, [] {
    char value[8];
    FAILS(EACCES, getxattr("f", "user.a", value, sizeof value));
  });
}

CASE(xattr, of_sticky_directories_are_the_owners) {
  need_root();
  need_user_attributes();
  make_directory("d", 01777);
  as(kAlice, [] { FAILS(EPERM, setxattr("d", "user.a", "1", 1, 0)); });
}

CASE(xattr, follow_renames_and_links) {
  need_user_attributes();
  make_file("f");
  set("f", "user.a", "1");
  WORKS(rename("f", "g"));
  WORKS(link("g", "h"));
  EQUAL("1", get("h", "user.a"));
  set("h", "user.a", "2");
  EQUAL("2", get("g", "user.a"));
}

CASE(xattr, many) {
  need_user_attributes();
  make_file("f");
  int count = 0;
  for (; count < 50; ++count) {
    const std::string name = "user.attribute" + std::to_string(count);
    if (setxattr("f", name.c_str(), "value", 5, 0) != 0) break;
  }
  ORDERED(count, >=, 20);
  EQUAL(count, list("f").size());
}

}  // namespace dpfs::posix
