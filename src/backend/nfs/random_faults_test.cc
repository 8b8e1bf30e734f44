// SPDX-License-Identifier: Apache-2.0
// Names against a model, while connections and answers are lost at random: each operation is done
// once and says what it has done.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <map>
#include <random>
#include <set>
#include <string>

#include "backend/nfs/nfs_fs_harness.h"

namespace dpfs::nfs {

namespace {

class RandomFaults : public testing::TestWithParam<int>, public NfsFsHarness {
 protected:
  // What there is: names of files, each with the number of its contents, and of directories.
  using Model = std::map<std::string, int>;
  static constexpr int kDirectory = -1;

  std::string some_name() { return std::string(1, static_cast<char>('a' + random_() % 6)); }
  static Errno expect_of(bool fine, Errno otherwise) { return fine ? Errno::none : otherwise; }

  void fault() {
    const uint32_t skip = static_cast<uint32_t>(random_() % 4);
    switch (random_() % 9) {
      case 0:
        return server.drop_before({.skip = skip});
      case 1:
        return server.drop_after({.skip = skip});
      case 2:
      case 3:
        return server.answer({.operation = Operation::putfh, .skip = skip}, Status::delay);
      case 4:
        return server.drop_connections();
      case 5:
        return server.fragment(1 + random_() % 200);
      case 6:
        // Of what is in a slot: a session whose making cannot be read is made again.
        return server.damage({.operation = Operation::putfh, .skip = skip}, Damage::truncated,
                             random_());
      default:
        return;
    }
  }

  void make_file() {
    const std::string name = some_name();
    const Result<CreateOut> created = create(name, O_RDWR | O_CREAT | O_EXCL);
    ASSERT_EQ(created.error(), expect_of(!model_.contains(name), Errno::exist)) << name;
    if (!created) return;
    const int number = next_++;
    const File file{NodeId{created->entry.nodeid}, Handle{created->open.fh}};
    const std::string text = std::to_string(number);
    ASSERT_EQ(write(file, 0, text), text.size());
    release(file);
    model_[name] = number;
  }
  void make_directory() {
    const std::string name = some_name();
    const Errno why =
        call(&NfsFs::mkdir, {.parent = NodeId::root, .name = name_of(name), .mode = 0755}).error();
    ASSERT_EQ(why, expect_of(!model_.contains(name), Errno::exist)) << name;
    model_.emplace(name, kDirectory);
  }
  void remove() {
    const std::string name = some_name();
    const auto found = model_.find(name);
    const bool is_directory = found != model_.end() && found->second == kDirectory;
    const Errno why = call(is_directory ? &NfsFs::rmdir : &NfsFs::unlink,
                           {.parent = NodeId::root, .name = name_of(name)})
                          .error();
    ASSERT_EQ(why, expect_of(found != model_.end(), Errno::noent)) << name;
    if (found != model_.end()) model_.erase(found);
  }
  void rename() {
    const std::string from = some_name();
    const std::string to = some_name();
    const auto source = model_.find(from);
    const auto target = model_.find(to);
    const Errno why = call(&NfsFs::rename2, {.parent = NodeId::root,
                                             .name = name_of(from),
                                             .new_parent = NodeId::root,
                                             .new_name = name_of(to)})
                          .error();
    if (source == model_.end()) {
      ASSERT_EQ(why, Errno::noent);
      return;
    }
    const bool fits =
        target == model_.end() || (source->second == kDirectory) == (target->second == kDirectory);
    // RFC 8881, section 18.26: EXIST where a directory meets a file.
    ASSERT_EQ(why, expect_of(fits, Errno::exist)) << from << " " << to;
    if (!fits || from == to) return;
    // Two names of one file both stay.
    const bool same = target != model_.end() && source->second == target->second;
    if (same && source->second != kDirectory) return;
    model_[to] = source->second;
    model_.erase(from);
  }
  void link() {
    const std::string from = some_name();
    const std::string to = some_name();
    const auto source = model_.find(from);
    if (source == model_.end() || source->second == kDirectory) return;
    const Result<fuse::EntryOut> file = look_up(NodeId::root, from);
    ASSERT_TRUE(file) << describe(file.error());
    const Errno why =
        call(&NfsFs::link,
             {.node = NodeId{file->nodeid}, .new_parent = NodeId::root, .new_name = name_of(to)})
            .error();
    ASSERT_EQ(why, expect_of(!model_.contains(to), Errno::exist)) << from << " " << to;
    model_.emplace(to, source->second);
  }
  void look() {
    const std::string name = some_name();
    const Result<fuse::EntryOut> entry = look_up(NodeId::root, name);
    ASSERT_EQ(entry.error(), expect_of(model_.contains(name), Errno::noent)) << name;
  }
  void step() {
    switch (random_() % 6) {
      case 0:
        return make_file();
      case 1:
        return make_directory();
      case 2:
        return remove();
      case 3:
        return rename();
      case 4:
        return link();
      default:
        return look();
    }
  }
  void compare() {
    std::set<std::string> expected;
    for (const auto& [name, number] : model_) {
      expected.insert(name);
      if (number == kDirectory) continue;
      EXPECT_EQ(on_server(name), std::to_string(number)) << name;
    }
    std::set<std::string> there;
    server.with([&](responder::World& world) {
      for (const auto& [name, entry] : world.tree.at(kExport)->entries) there.insert(name);
    });
    EXPECT_EQ(there, expected);
  }

  std::mt19937_64 random_;
  Model model_;
  int next_ = 1;
};

TEST_P(RandomFaults, NamesAreAsInTheModel) {
  const uint64_t seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  random_.seed(seed);
  for (int i = 0; i < 150; ++i) {
    SCOPED_TRACE("step " + std::to_string(i));
    if (random_() % 4 == 0) fault();
    step();
    if (HasFatalFailure()) break;
    if (random_() % 4 == 0) {
      server.clear_rules();
      server.fragment(0);
    }
  }
  server.clear_rules();
  server.fragment(0);
  compare();
  EXPECT_EQ(server.counters().false_retries, 0u);
  EXPECT_EQ(server.counters().misordered, 0u);
}

INSTANTIATE_TEST_SUITE_P(Rounds, RandomFaults, testing::Range(0, 4));

}  // namespace

}  // namespace dpfs::nfs
