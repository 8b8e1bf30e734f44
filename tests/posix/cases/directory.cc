// SPDX-License-Identifier: Apache-2.0
// Listing directories.
#include <dirent.h>
#include <sys/syscall.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>

#include "tests/posix/suite/case.h"

namespace dpfs::posix {
namespace {

using Listing = std::unique_ptr<DIR, int (*)(DIR*)>;

Listing list(const char* path) { return Listing(WORKS(opendir(path)), closedir); }

void make_files(int count, const std::string& prefix = "file") {
  for (int i = 0; i < count; ++i) {
    const std::string name = prefix + std::to_string(i);
    close(WORKS(open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644)));
  }
}

// How often each name comes, from where the listing is to its end.
std::map<std::string, int> rest_of(const Listing& listing) {
  std::map<std::string, int> names;
  while (const dirent* entry = readdir(listing.get())) ++names[entry->d_name];
  return names;
}

}  // namespace

CASE(directory, has_dot_and_dotdot_once) {
  make_directory("d");
  make_file("d/f");
  const std::map<std::string, int> names = rest_of(list("d"));
  EQUAL(3, names.size());
  EQUAL(1, names.count(".") != 0 ? names.at(".") : 0);
  EQUAL(1, names.count("..") != 0 ? names.at("..") : 0);
}

CASE(directory, types_and_inodes_are_those_of_stat) {
  make_file("file");
  make_directory("directory");
  make_symlink("x", "symlink");
  WORKS(mkfifo("fifo", 0644));
  const Listing listing = list(".");
  while (const dirent* entry = readdir(listing.get())) {
    const Row row(entry->d_name);
    const struct stat found = status(entry->d_name);
    if (entry->d_type != DT_UNKNOWN) EQUAL(IFTODT(found.st_mode), entry->d_type);
    if (std::string(entry->d_name) != "..") EQUAL(found.st_ino, entry->d_ino);
  }
}

CASE(directory, many_names_come_once_each) {
  constexpr int kCount = 2000;
  make_files(kCount);
  const std::map<std::string, int> names = rest_of(list("."));
  EQUAL(kCount + 2, names.size());
  HOLDS(std::all_of(names.begin(), names.end(), [](const auto& one) { return one.second == 1; }));
}

CASE(directory, small_buffers_see_the_same) {
  make_files(200);
  const Fd directory = open_file(".", O_RDONLY | O_DIRECTORY);
  std::set<std::string> names;
  int entries = 0;
  while (true) {
    alignas(dirent64) char block[400];
    const long count = WORKS(syscall(SYS_getdents64, directory.get(), block, sizeof block));
    if (count == 0) break;
    for (long at = 0; at < count;) {
      const auto* entry = reinterpret_cast<const dirent64*>(block + at);
      names.insert(entry->d_name);
      ++entries;
      at += entry->d_reclen;
    }
  }
  EQUAL(202, names.size());
  EQUAL(202, entries);
}

CASE(directory, buffer_too_small_is_einval) {
  make_files(1, std::string(200, 'n'));
  const Fd directory = open_file(".", O_RDONLY | O_DIRECTORY);
  char block[20];
  FAILS(EINVAL, syscall(SYS_getdents64, directory.get(), block, sizeof block));
}

CASE(directory, cookies_lead_back) {
  make_files(300);
  const Listing listing = list(".");
  std::vector<std::pair<long, std::string>> places;
  while (true) {
    const long place = telldir(listing.get());
    const dirent* entry = readdir(listing.get());
    if (entry == nullptr) break;
    places.emplace_back(place, entry->d_name);
  }
  EQUAL(302, places.size());
  for (size_t i = places.size(); i-- > 0;) {
    if (i % 7 != 0 && i + 5 < places.size()) continue;
    seekdir(listing.get(), places[i].first);
    const dirent* entry = readdir(listing.get());
    if (entry == nullptr) {
      HOLDS(entry != nullptr);
      continue;
    }
    EQUAL(places[i].second, std::string(entry->d_name));
  }
}

CASE(directory, cookies_survive_another_listing) {
  make_files(100);
  const Listing first = list(".");
  for (int i = 0; i < 50; ++i) WORKS(readdir(first.get()));
  const std::map<std::string, int> all = rest_of(list("."));
  const std::map<std::string, int> rest = rest_of(first);
  EQUAL(102, all.size());
  EQUAL(52, rest.size());
}

CASE(directory, unlinking_while_listing_loses_nothing) {
  constexpr int kCount = 1000;
  make_files(kCount);
  const Listing listing = list(".");
  int seen = 0;
  while (const dirent* entry = readdir(listing.get())) {
    if (entry->d_name[0] == '.') continue;
    ++seen;
    WORKS(unlink(entry->d_name));
  }
  EQUAL(kCount, seen);
  EQUAL(0, names_in(".").size());
}

CASE(directory, names_that_stay_come_once_while_others_change) {
  make_files(500, "stays");
  make_files(500, "goes");
  const Listing listing = list(".");
  std::map<std::string, int> seen;
  int step = 0;
  while (const dirent* entry = readdir(listing.get())) {
    ++seen[entry->d_name];
    const std::string number = std::to_string(step++);
    unlink(("goes" + number).c_str());
    if (step < 400) make_files(1, "new" + number + "-");
  }
  int wrong = 0;
  for (int i = 0; i < 500; ++i) wrong += seen["stays" + std::to_string(i)] == 1 ? 0 : 1;
  EQUAL(0, wrong);
}

CASE(directory, rewinding_sees_what_is_new) {
  make_files(3);
  const Listing listing = list(".");
  EQUAL(5, rest_of(listing).size());
  make_file("new");
  WORKS(unlink("file0"));
  rewinddir(listing.get());
  const std::map<std::string, int> names = rest_of(listing);
  EQUAL(1, names.count("new"));
  EQUAL(0, names.count("file0"));
}

CASE(directory, changes_are_in_the_next_listing) {
  EQUAL(0, names_in(".").size());
  make_file("a");
  EQUAL((std::vector<std::string>{"a"}), names_in("."));
  WORKS(rename("a", "b"));
  EQUAL((std::vector<std::string>{"b"}), names_in("."));
  WORKS(link("b", "c"));
  EQUAL((std::vector<std::string>{"b", "c"}), names_in("."));
  WORKS(unlink("b"));
  EQUAL((std::vector<std::string>{"c"}), names_in("."));
}

CASE(directory, changes_of_another_process_are_in_the_next_listing) {
  make_file("a");
  EQUAL(1, names_in(".").size());
  apart([] { make_file("b"); });
  EQUAL(2, names_in(".").size());
  apart([] { WORKS(unlink("a")); });
  EQUAL((std::vector<std::string>{"b"}), names_in("."));
}

CASE(directory, changes_by_another_path_are_in_the_next_listing) {
  const std::string also = also_path("");
  EQUAL(0, names_in(".").size());
  make_file(also + "from_there");
  make_file("from_here");
  // Caches may hold names for a while; nobody promises less than their timeout.
  for (int tries = 0; tries < 50 && names_in(".").size() != 2; ++tries) sleep_ms(100);
  EQUAL((std::vector<std::string>{"from_here", "from_there"}), names_in("."));
  EQUAL((std::vector<std::string>{"from_here", "from_there"}), names_in(also));
}

CASE(directory, listing_needs_read_permission_only_to_open) {
  need_root();
  make_directory("d", 0755);
  make_file("d/f");
  Peer peer([](Peer& main) {
    become(kAlice);
    const Listing listing = list("d");
    main.tell();
    main.hear();
    EQUAL(3, rest_of(listing).size());
    FAILS(EACCES, opendir("d"));
  });
  peer.hear();
  WORKS(chmod("d", 0000));
  peer.tell();
  peer.join();
}

CASE(directory, files_are_not_listed) {
  make_file("f");
  FAILS(ENOTDIR, opendir("f"));
  const Fd file = open_file("f", O_RDONLY);
  char block[400];
  FAILS(ENOTDIR, syscall(SYS_getdents64, file.get(), block, sizeof block));
}

CASE(directory, two_listings_are_independent) {
  make_files(50);
  const Listing first = list(".");
  const Listing second = list(".");
  for (int i = 0; i < 30; ++i) WORKS(readdir(first.get()));
  EQUAL(52, rest_of(second).size());
  EQUAL(22, rest_of(first).size());
}

CASE(directory, every_byte_but_two_may_be_in_a_name) {
  std::vector<std::string> names;
  for (int byte = 1; byte < 256; ++byte) {
    if (byte == '/') continue;
    names.push_back(std::string("n") + static_cast<char>(byte));
  }
  for (const std::string& name : names) make_file(name, name);
  std::sort(names.begin(), names.end());
  HOLDS(names_in(".") == names);
  int differences = 0;
  for (const std::string& name : names) differences += content(name) == name ? 0 : 1;
  EQUAL(0, differences);
}

CASE(directory, upper_and_lower_case_differ) {
  make_file("name", "lower");
  make_file("NAME", "upper");
  EQUAL("lower", content("name"));
  EQUAL("upper", content("NAME"));
}

CASE(directory, names_of_255_bytes) {
  const std::string name(255, 'n');
  make_file(name, "text");
  EQUAL("text", content(name));
  WORKS(rename(name.c_str(), std::string(255, 'm').c_str()));
  EQUAL((std::vector<std::string>{std::string(255, 'm')}), names_in("."));
  WORKS(mkdir(name.c_str(), 0755));
  WORKS(rmdir(name.c_str()));
}

CASE(directory, paths_deeper_than_path_max) {
  constexpr int kDepth = 40;
  const std::string name(200, 'd');
  for (int i = 0; i < kDepth; ++i) {
    WORKS(mkdir(name.c_str(), 0755));
    WORKS(chdir(name.c_str()));
  }
  make_file("f", "deep");
  EQUAL("deep", content("f"));
  for (int i = 0; i < kDepth; ++i) WORKS(chdir(".."));
  EQUAL((std::vector<std::string>{name}), names_in("."));
}

}  // namespace dpfs::posix
