// SPDX-License-Identifier: Apache-2.0
// rename(2): every type onto every type, and what may not be.
#include "tests/posix/suite/case.h"

namespace dpfs::posix {
namespace {

enum class Type { missing, file, empty_directory, full_directory, symlink, fifo };

constexpr Type kTypes[] = {Type::missing,        Type::file,    Type::empty_directory,
                           Type::full_directory, Type::symlink, Type::fifo};

const char* type_name(Type type) {
  constexpr const char* kNames[] = {"missing",        "file",    "empty directory",
                                    "full directory", "symlink", "fifo"};
  return kNames[static_cast<int>(type)];
}

bool is_directory(Type type) {
  return type == Type::empty_directory || type == Type::full_directory;
}

void make(Type type, const std::string& path) {
  switch (type) {
    case Type::missing:
      return;
    case Type::file:
      return make_file(path, path);
    case Type::empty_directory:
      return make_directory(path);
    case Type::full_directory:
      make_directory(path);
      return make_file(path + "/inside");
    case Type::symlink:
      return make_symlink("nowhere", path);
    case Type::fifo:
      WORKS(mkfifo(path.c_str(), 0644));
  }
}

// What rename(2) says of one type onto another; 0: it works.
int expected_error(Type from, Type to) {
  if (from == Type::missing) return ENOENT;
  if (to == Type::missing) return 0;
  if (is_directory(from) && !is_directory(to)) return ENOTDIR;
  if (!is_directory(from) && is_directory(to)) return EISDIR;
  return to == Type::full_directory ? ENOTEMPTY : 0;
}

}  // namespace

CASE(rename, every_type_onto_every_type) {
  int number = 0;
  for (const Type from : kTypes) {
    for (const Type to : kTypes) {
      const Row row(std::string(type_name(from)) + " onto " + type_name(to));
      const std::string directory = "d" + std::to_string(number++);
      make_directory(directory);
      WORKS(chdir(directory.c_str()));
      make(from, "from");
      make(to, "to");
      const int error = expected_error(from, to);
      if (error == ENOTEMPTY) {
        FAILS_EITHER((std::vector<int>{ENOTEMPTY, EEXIST}), rename("from", "to"));
      } else if (error != 0) {
        FAILS(error, rename("from", "to"));
      } else {
        const ino_t inode = status("from").st_ino;
        WORKS(rename("from", "to"));
        HOLDS(!exists("from"));
        EQUAL(inode, status("to").st_ino);
      }
      WORKS(chdir(".."));
    }
  }
}

CASE(rename, between_directories) {
  make_directory("a");
  make_directory("b");
  make_file("a/f", "text");
  WORKS(rename("a/f", "b/g"));
  EQUAL("text", content("b/g"));
  EQUAL(0, names_in("a").size());
}

CASE(rename, of_a_name_onto_itself_does_nothing) {
  make_file("f", "text");
  WORKS(rename("f", "f"));
  EQUAL("text", content("f"));
  make_directory("d");
  WORKS(rename("d", "d"));
  HOLDS(exists("d"));
}

CASE(rename, of_a_link_onto_another_does_nothing) {
  make_file("f", "text");
  WORKS(link("f", "g"));
  WORKS(rename("f", "g"));
  HOLDS(exists("f"));
  HOLDS(exists("g"));
  EQUAL(2, status("f").st_nlink);
}

CASE(rename, directory_into_itself_is_einval) {
  make_directory("d");
  make_directory("d/e");
  FAILS(EINVAL, rename("d", "d/x"));
  FAILS(EINVAL, rename("d", "d/e/x"));
  FAILS(EINVAL, rename("d", "d/e"));
  HOLDS(exists("d/e"));
}

CASE(rename, directory_onto_its_parent_is_enotempty) {
  make_directory("d");
  make_directory("d/e");
  FAILS_EITHER((std::vector<int>{ENOTEMPTY, EEXIST}), rename("d/e", "d"));
}

CASE(rename, dots_are_refused) {
  make_directory("d");
  const std::vector<int> kEither{EBUSY, EINVAL, ENOTEMPTY};
  FAILS_EITHER(kEither, rename("d/.", "e"));
  FAILS_EITHER(kEither, rename("d/..", "e"));
  FAILS_EITHER(kEither, rename("d", "."));
  FAILS_EITHER(kEither, rename("d", ".."));
}

CASE(rename, slash_behind_a_file_is_enotdir) {
  make_file("f");
  FAILS(ENOTDIR, rename("f/", "g"));
  FAILS(ENOTDIR, rename("f", "g/"));
  make_directory("d");
  WORKS(rename("d/", "e/"));
  HOLDS(exists("e"));
}

CASE(rename, replaced_file_loses_a_link) {
  make_file("f");
  make_file("g");
  WORKS(link("g", "h"));
  WORKS(rename("f", "g"));
  EQUAL(1, status("h").st_nlink);
}

CASE(rename, moved_directory_counts_for_its_new_parent) {
  make_directory("a");
  make_directory("b");
  make_directory("a/d");
  if (status("a").st_nlink == 1) skip("this file system does not count links of directories");
  WORKS(rename("a/d", "b/d"));
  EQUAL(2, status("a").st_nlink);
  EQUAL(3, status("b").st_nlink);
}

CASE(rename, replaced_directory_no_longer_counts) {
  make_directory("a");
  make_directory("a/d");
  make_directory("e");
  if (status("a").st_nlink == 1) skip("this file system does not count links of directories");
  WORKS(rename("e", "a/d"));
  EQUAL(3, status("a").st_nlink);
}

CASE(rename, symlinks_are_renamed_not_followed) {
  make_file("f", "text");
  make_symlink("f", "s");
  WORKS(rename("s", "t"));
  HOLDS(S_ISLNK(status("t").st_mode));
  make_file("g", "new");
  WORKS(rename("g", "t"));
  EQUAL("new", content("t"));
  EQUAL("text", content("f"));
}

CASE(rename, open_files_follow) {
  make_file("f", "text");
  const Fd file = open_file("f", O_RDWR);
  WORKS(rename("f", "g"));
  write_at(file, 0, "TEXT");
  EQUAL("TEXT", content("g"));
  EQUAL(1, status(file).st_nlink);
}

CASE(rename, open_directories_follow) {
  make_directory("d");
  const Fd directory = open_file("d", O_RDONLY | O_DIRECTORY);
  WORKS(rename("d", "e"));
  const Fd file(WORKS(openat(directory.get(), "f", O_WRONLY | O_CREAT, 0644)));
  HOLDS(exists("e/f"));
}

CASE(rename, working_directory_follows) {
  make_directory("d");
  make_directory("a");
  WORKS(chdir("d"));
  WORKS(rename("../d", "../a/e"));
  make_file("f");
  HOLDS(exists("../../a/e/f"));
}

CASE(rename, names_below_a_moved_directory_follow) {
  make_directory("d");
  make_directory("d/e");
  make_file("d/e/f", "text");
  EQUAL("text", content("d/e/f"));
  WORKS(rename("d", "x"));
  EQUAL("text", content("x/e/f"));
  FAILS(ENOENT, open("d/e/f", O_RDONLY));
}

CASE(rename, cycles_of_directories_do_not_come_about) {
  make_directory("a");
  make_directory("b");
  WORKS(rename("a", "b/a"));
  FAILS(EINVAL, rename("b", "b/a/b"));
  WORKS(rename("b/a", "a"));
  WORKS(rename("b", "a/b"));
}

CASE(rename, racing_renames_of_one_name_have_one_winner) {
  make_directory("to");
  for (int i = 0; i < 50; ++i) make_file("f" + std::to_string(i));
  const auto race = [](const std::string& who) {
    for (int i = 0; i < 50; ++i) {
      const std::string name = "f" + std::to_string(i);
      const int result = rename(name.c_str(), ("to/" + name + who).c_str());
      if (result != 0) EQUAL(ENOENT, errno);
    }
  };
  Peer peer([&](Peer&) { race(".peer"); });
  race(".self");
  peer.join();
  EQUAL(50, names_in("to").size());
}

CASE(rename, target_is_never_missing) {
  make_file("f", "0");
  Peer peer([](Peer& main) {
    for (int i = 0; i < 200; ++i) {
      make_file("new", std::to_string(i));
      WORKS(rename("new", "f"));
    }
    main.tell();
  });
  int missing = 0;
  for (int i = 0; i < 300; ++i) {
    const int fd = open("f", O_RDONLY);
    if (fd < 0) {
      ++missing;
    } else {
      close(fd);
    }
  }
  peer.hear();
  peer.join();
  EQUAL(0, missing);
}

}  // namespace dpfs::posix
