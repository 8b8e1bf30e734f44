// SPDX-License-Identifier: Apache-2.0
// How every operation walks a path: the errnos that do not depend on what it does at the end.
#include <sched.h>
#include <sys/mount.h>

#include "tests/posix/cases/path_operations.h"
#include "tests/posix/suite/case.h"

namespace dpfs::posix {
namespace {

// Each operation on the path fails so; "file" is there for those that need another name.
void all_fail(int error, const std::string& path) {
  if (!exists("file")) make_file("file");
  for (const PathOperation& operation : path_operations()) {
    const Row row(operation.name);
    FAILS(error, operation.call(path.c_str()));
  }
  HOLDS(exists("file"));
  HOLDS(!exists("other"));
}

std::string repeated(const std::string& text, int count) {
  std::string all;
  for (int i = 0; i < count; ++i) all += text;
  return all;
}

}  // namespace

CASE(paths, missing_directory_is_enoent) { all_fail(ENOENT, "missing/name"); }

CASE(paths, empty_path_is_enoent) { all_fail(ENOENT, ""); }

CASE(paths, file_on_the_way_is_enotdir) {
  make_file("f");
  all_fail(ENOTDIR, "f/name");
}

CASE(paths, fifo_on_the_way_is_enotdir) {
  WORKS(mkfifo("fifo", 0644));
  all_fail(ENOTDIR, "fifo/name");
}

CASE(paths, file_before_dots_is_enotdir) {
  make_file("f");
  all_fail(ENOTDIR, "f/./name");
  all_fail(ENOTDIR, "f/../name");
}

CASE(paths, component_of_256_bytes_is_enametoolong) {
  all_fail(ENAMETOOLONG, std::string(256, 'n'));
  all_fail(ENAMETOOLONG, std::string(256, 'n') + "/name");
}

CASE(paths, path_of_4096_bytes_is_enametoolong) {
  all_fail(ENAMETOOLONG, repeated("./", 2047) + "nn");
}

CASE(paths, path_of_4095_bytes_works) {
  make_file("n");
  const std::string path = repeated("./", 2047) + "n";
  EQUAL(4095, path.size());
  EQUAL(0, status(path).st_size);
}

CASE(paths, symlink_loop_on_the_way_is_eloop) {
  make_symlink("b", "a");
  make_symlink("a", "b");
  make_symlink("self", "self");
  all_fail(ELOOP, "a/name");
  all_fail(ELOOP, "self/name");
}

CASE(paths, symlink_loop_at_the_end_is_eloop_where_it_is_followed) {
  make_file("file");
  make_symlink("self", "self");
  for (const PathOperation& operation : path_operations()) {
    if (!operation.follows) continue;
    const Row row(operation.name);
    FAILS(ELOOP, operation.call("self"));
  }
}

CASE(paths, forty_symlinks_work_and_forty_one_do_not) {
  make_file("link0", "text");
  for (int i = 1; i <= 41; ++i) {
    make_symlink("link" + std::to_string(i - 1), "link" + std::to_string(i));
  }
  EQUAL("text", content("link40"));
  FAILS(ELOOP, open("link41", O_RDONLY));
}

CASE(paths, dangling_symlink_is_enoent_where_it_is_followed) {
  make_file("file");
  make_symlink("missing", "dangling");
  for (const PathOperation& operation : path_operations()) {
    if (!operation.follows || operation.wants != Wants::existing) continue;
    const Row row(operation.name);
    FAILS(ENOENT, operation.call("dangling"));
  }
}

CASE(paths, missing_name_is_enoent) {
  make_file("file");
  for (const PathOperation& operation : path_operations()) {
    if (operation.wants != Wants::existing) continue;
    const Row row(operation.name);
    FAILS(ENOENT, operation.call("missing"));
  }
}

CASE(paths, existing_name_is_eexist) {
  make_file("file");
  make_file("f");
  make_directory("d");
  make_symlink("missing", "link");
  WORKS(mkfifo("fifo", 0644));
  for (const PathOperation& operation : path_operations()) {
    if (operation.wants != Wants::missing) continue;
    for (const char* name : {"f", "d", "link", "fifo"}) {
      const Row row(operation.name + " " + name);
      FAILS(EEXIST, operation.call(name));
    }
  }
  HOLDS(!exists("missing"));
}

CASE(paths, no_search_permission_is_eacces) {
  need_root();
  make_directory("closed", 0600);
  make_file("closed/name", "", 0666);
  make_directory("open", 0777);
  as(kAlice, [] {
    WORKS(chdir("open"));
    make_file("file");
    for (const PathOperation& operation : path_operations()) {
      const Row row(operation.name);
      FAILS(EACCES, operation.call("../closed/name"));
    }
  });
}

CASE(paths, no_write_permission_of_the_directory_is_eacces) {
  need_root();
  make_directory("d", 0755);
  make_file("d/name", "", 0666);
  make_directory("d/empty", 0777);
  make_directory("open", 0777);
  as(kAlice, [] {
    WORKS(chdir("open"));
    make_file("file");
    for (const char* name : {"create", "mkdir", "mknod", "mkfifo", "symlink", "link to",
                             "rename to", "create O_EXCL"}) {
      for (const PathOperation& operation : path_operations()) {
        if (operation.name != name) continue;
        const Row row(operation.name);
        FAILS(EACCES, operation.call("../d/new"));
      }
    }
    FAILS(EACCES, unlink("../d/name"));
    FAILS(EACCES, rmdir("../d/empty"));
    FAILS(EACCES, rename("../d/name", "moved"));
  });
  EQUAL(2, names_in("d").size());
}

CASE(paths, read_only_mount_is_erofs) {
  need_root();
  make_directory("d");
  make_directory("d/empty");
  make_file("d/name", "text");
  make_file("d/file");
  apart([] {
    if (unshare(CLONE_NEWNS) != 0) skip("no mount name space of its own: " + errno_text(errno));
    WORKS(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr));
    WORKS(mount("d", "d", nullptr, MS_BIND, nullptr));
    WORKS(mount(nullptr, "d", nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr));
    WORKS(chdir("d"));
    for (const PathOperation& operation : path_operations()) {
      if (!operation.writes || operation.wants == Wants::either) continue;
      if (operation.name == "rename from" || operation.name == "link from") continue;
      const Row row(operation.name);
      const bool of_directory = operation.name == "rmdir";
      const char* existing = of_directory ? "empty" : "name";
      FAILS(EROFS, operation.call(operation.wants == Wants::existing ? existing : "new"));
    }
    FAILS(EROFS, rename("name", "new"));
    FAILS(EROFS, link("name", "new"));
    FAILS(EROFS, open("new", O_WRONLY | O_CREAT, 0644));
    EQUAL("text", content("name"));
  });
}

CASE(paths, links_and_renames_across_file_systems_are_exdev) {
  need_root();
  make_directory("d");
  make_file("f");
  apart([] {
    if (unshare(CLONE_NEWNS) != 0) skip("no mount name space of its own: " + errno_text(errno));
    WORKS(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr));
    WORKS(mount("none", "d", "tmpfs", 0, nullptr));
    make_file("d/g");
    FAILS(EXDEV, rename("f", "d/f"));
    FAILS(EXDEV, rename("d/g", "g"));
    FAILS(EXDEV, link("f", "d/f"));
    FAILS(EXDEV, link("d/g", "g"));
    FAILS(EBUSY, rmdir("d"));
    FAILS(EBUSY, rename("d", "e"));
  });
}

CASE(paths, slashes_and_dots_do_not_matter) {
  make_directory("d");
  make_file("d/f", "text");
  for (const char* path : {"d//f", "d/./f", "./d/f", "d/../d/f", "d///.//f", ".//d/..//./d/f"}) {
    const Row row(path);
    EQUAL("text", content(path));
  }
}

CASE(paths, dotdot_is_the_parent) {
  make_directory("d");
  make_directory("d/e");
  EQUAL(status("d").st_ino, status("d/e/..").st_ino);
  EQUAL(status(".").st_ino, status("d/e/../..").st_ino);
  EQUAL(status("d").st_ino, status("d/.").st_ino);
}

CASE(paths, dotdot_follows_a_moved_directory) {
  make_directory("a");
  make_directory("b");
  make_directory("a/d");
  const Fd moved = open_file("a/d", O_RDONLY | O_DIRECTORY);
  WORKS(rename("a/d", "b/d"));
  struct stat parent = {};
  WORKS(fstatat(moved.get(), "..", &parent, 0));
  EQUAL(status("b").st_ino, parent.st_ino);
}

CASE(paths, symlinks_are_relative_to_their_directory) {
  make_directory("d");
  make_directory("d/e");
  make_file("f", "above");
  make_file("d/f", "below");
  make_symlink("f", "d/link");
  make_symlink("../f", "d/up");
  make_symlink("../../f", "d/e/up_twice");
  EQUAL("below", content("d/link"));
  EQUAL("above", content("d/up"));
  EQUAL("above", content("d/e/up_twice"));
}

}  // namespace dpfs::posix
