// SPDX-License-Identifier: Apache-2.0
// Files that are open and have no name any more.
#include <dirent.h>
#include <sys/mman.h>
#include <sys/xattr.h>

#include "tests/posix/suite/case.h"

namespace dpfs::posix {
namespace {

Fd open_and_unlink(const std::string& text) {
  make_file("f", text);
  Fd file = open_file("f", O_RDWR);
  WORKS(unlink("f"));
  return file;
}

}  // namespace

CASE(unlinked, has_no_links) {
  const Fd file = open_and_unlink("text");
  EQUAL(0, status(file).st_nlink);
  EQUAL(4, status(file).st_size);
}

CASE(unlinked, reads_and_writes) {
  const Fd file = open_and_unlink("text");
  EQUAL("text", content(file));
  write_at(file, 4, pattern(100000));
  EQUAL("text" + pattern(100000), content(file));
}

CASE(unlinked, can_be_truncated_and_extended) {
  const Fd file = open_and_unlink(pattern(10000));
  WORKS(ftruncate(file.get(), 100));
  EQUAL(100, status(file).st_size);
  WORKS(ftruncate(file.get(), 5000));
  EQUAL(pattern(10000).substr(0, 100) + std::string(4900, '\0'), content(file));
}

CASE(unlinked, attributes_can_be_changed) {
  const Fd file = open_and_unlink("text");
  WORKS(fchmod(file.get(), 0600));
  EQUAL(0600, status(file).st_mode & 07777);
  const timespec times[2] = {{1000, 0}, {2000, 0}};
  WORKS(futimens(file.get(), times));
  EQUAL(2000, status(file).st_mtim.tv_sec);
  if (geteuid() == 0) {
    WORKS(fchown(file.get(), kBob.uid, kBob.gid));
    EQUAL(kBob.uid, status(file).st_uid);
  }
}

CASE(unlinked, extended_attributes_work) {
  const Fd file = open_and_unlink("text");
  if (fsetxattr(file.get(), "user.name", "value", 5, 0) != 0 && errno == EOPNOTSUPP) {
    skip("no user attributes here");
  }
  char value[16] = {};
  EQUAL(5, WORKS(fgetxattr(file.get(), "user.name", value, sizeof value)));
}

CASE(unlinked, can_be_synchronized) {
  const Fd file = open_and_unlink("text");
  write_at(file, 0, "TEXT");
  WORKS(fsync(file.get()));
  WORKS(fdatasync(file.get()));
  EQUAL("TEXT", content(file));
}

CASE(unlinked, can_be_mapped) {
  const Fd file = open_and_unlink(pattern(8192));
  void* memory = WORKS(mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0));
  EQUAL(pattern(8192), std::string(static_cast<char*>(memory), 8192));
  static_cast<char*>(memory)[5000] = 'x';
  EQUAL("x", read_at(file, 5000, 1));
}

CASE(unlinked, map_outlives_the_descriptor) {
  Fd file = open_and_unlink(pattern(8192));
  void* memory = WORKS(mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0));
  file.reset();
  EQUAL(pattern(8192), std::string(static_cast<char*>(memory), 8192));
  static_cast<char*>(memory)[1] = 'x';
  WORKS(msync(memory, 8192, MS_SYNC));
}

CASE(unlinked, opens_again_through_proc) {
  const Fd file = open_and_unlink("text");
  const Fd again = open_file(proc_path(file), O_RDWR);
  EQUAL("text", content(again));
  write_at(again, 0, "TEXT");
  EQUAL("TEXT", content(file));
}

CASE(unlinked, named_by_a_path_descriptor_only) {
  make_file("f", "text");
  const Fd named = open_file("f", O_PATH);
  WORKS(unlink("f"));
  EQUAL(4, status(named).st_size);
  EQUAL(0, status(named).st_nlink);
  EQUAL("text", content(proc_path(named)));
}

CASE(unlinked, replaced_while_named_by_a_path_descriptor_only) {
  make_file("f", "text");
  make_file("g", "other text");
  const Fd named = open_file("f", O_PATH);
  WORKS(rename("g", "f"));
  EQUAL(4, status(named).st_size);
  EQUAL("text", content(proc_path(named)));
}

CASE(unlinked, gets_no_new_name) {
  const Fd file = open_and_unlink("text");
  FAILS(ENOENT, linkat(AT_FDCWD, proc_path(file).c_str(), AT_FDCWD, "g", AT_SYMLINK_FOLLOW));
}

CASE(unlinked, name_is_free_for_another_file) {
  const Fd file = open_and_unlink("old");
  make_file("f", "new file");
  EQUAL("old", content(file));
  EQUAL("new file", content("f"));
  HOLDS(status(file).st_ino != status("f").st_ino);
}

CASE(unlinked, replaced_file_stays_readable) {
  make_file("f", "old");
  make_file("g", "new file");
  const Fd file = open_file("f", O_RDWR);
  WORKS(rename("g", "f"));
  EQUAL("old", content(file));
  EQUAL(0, status(file).st_nlink);
  EQUAL("new file", content("f"));
}

CASE(unlinked, directory_can_be_listed_and_is_empty) {
  make_directory("d");
  const Fd directory = open_file("d", O_RDONLY | O_DIRECTORY);
  WORKS(rmdir("d"));
  EQUAL(0, status(directory).st_nlink);
  DIR* listing = WORKS(fdopendir(dup(directory.get())));
  int count = 0;
  while (const dirent* entry = readdir(listing)) {
    if (entry->d_name[0] != '.') ++count;
  }
  closedir(listing);
  EQUAL(0, count);
}

CASE(unlinked, many_at_once) {
  std::vector<Fd> files;
  for (int i = 0; i < 100; ++i) {
    const std::string name = "f" + std::to_string(i);
    make_file(name, name);
    files.push_back(open_file(name, O_RDONLY));
  }
  for (int i = 0; i < 100; ++i) WORKS(unlink(("f" + std::to_string(i)).c_str()));
  EQUAL(0, names_in(".").size());
  int differences = 0;
  for (int i = 0; i < 100; ++i) {
    if (content(files[i]) != "f" + std::to_string(i)) ++differences;
  }
  EQUAL(0, differences);
}

CASE(unlinked, last_name_of_several_counts) {
  make_file("f", "text");
  WORKS(link("f", "g"));
  const Fd file = open_file("f", O_RDONLY);
  WORKS(unlink("f"));
  EQUAL(1, status(file).st_nlink);
  WORKS(unlink("g"));
  EQUAL(0, status(file).st_nlink);
  EQUAL("text", content(file));
}

}  // namespace dpfs::posix
