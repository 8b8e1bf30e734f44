// SPDX-License-Identifier: Apache-2.0
// A share's options: their table, what does not go together, and how a command line says them.
#include "daemon/share_config.h"

#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "daemon/share_options.h"

namespace dpfs {
namespace {

TEST(ShareOptions, EachIsOfOneKindAndHasANameOfItsOwn) {
  std::set<std::string_view> names;
  for (const ShareOption& option : share_options()) {
    EXPECT_TRUE(names.insert(option.name).second) << option.name;
    EXPECT_EQ((option.flag != nullptr) + (option.set != nullptr) + (option.set_all != nullptr), 1)
        << option.name;
    EXPECT_EQ(option.flag != nullptr, option.value_name.empty()) << option.name;
    EXPECT_EQ(option.flag != nullptr, !option.help_of_off.empty()) << option.name;
    EXPECT_FALSE(option.help.empty()) << option.name;
  }
}

// ---- Options that need each other ---------------------------------------------------------------

TEST(ShareConfig, WritebackIsRefusedWhereNothingIsKept) {
  for (const CacheMode mode : {CacheMode::never, CacheMode::metadata}) {
    ShareConfig share{.cache = mode, .writeback = true};
    EXPECT_THROW(share.check(), ConfigMistake);
  }
  ShareConfig share{.cache = CacheMode::always, .writeback = true};
  EXPECT_NO_THROW(share.check());
}

// ---- A command line -----------------------------------------------------------------------------

class ShareCommandLine : public testing::Test {
 protected:
  ShareCommandLine() { app.add_option("URL", share.url); }
  void parse(std::vector<std::string> words) {
    if (!added) add_share_options(app, share);
    added = true;
    std::ranges::reverse(words);  // as CLI11 wants them
    app.parse(words);
  }
  ShareConfig share;
  CLI::App app;
  bool added = false;
};

TEST_F(ShareCommandLine, FillsTheShare) {
  parse({"--readonly", "--no-xattr", "--no-announce-submounts", "--cache", "never",
         "--attr-timeout=2.5", "--inode-file-handles=mandatory", "local:/srv"});
  EXPECT_TRUE(share.readonly);
  EXPECT_FALSE(share.xattr);
  EXPECT_FALSE(share.announce_submounts);
  EXPECT_EQ(share.cache, CacheMode::never);
  EXPECT_EQ(share.attr_timeout_ms, 2500u);
  EXPECT_EQ(share.entry_timeout_ms, std::nullopt);
  EXPECT_EQ(share.inode_file_handles, FileHandles::mandatory);
  EXPECT_EQ(share.url, "local:/srv");
}

TEST_F(ShareCommandLine, MapsMayBeGivenSeveralTimesBeforeTheUrl) {
  parse({"--translate-uid", "map:0:1000:1", "--translate-uid", "map:5:7:1", "--translate-gid",
         "forbid-guest:3:1", "local:/srv"});
  EXPECT_EQ(*share.ids.uids.to_host(0), 1000u);
  EXPECT_EQ(*share.ids.uids.to_host(5), 7u);
  EXPECT_EQ(share.ids.gids.to_host(3).error(), Errno::perm);
  EXPECT_EQ(share.url, "local:/srv");
}

TEST_F(ShareCommandLine, SaidTwiceTheLastCounts) {
  parse({"--cache=never", "--cache=always", "local:/srv"});
  EXPECT_EQ(share.cache, CacheMode::always);
}

TEST_F(ShareCommandLine, ParsedAgainWithMoreItIsTheSameAsAtOnce) {
  parse({"--translate-uid=map:0:1000:1", "local:/srv"});
  parse({"--translate-uid=map:0:1000:1", "local:/srv", "--translate-uid=map:1:2000:1"});
  EXPECT_EQ(*share.ids.uids.to_host(0), 1000u);
  EXPECT_EQ(*share.ids.uids.to_host(1), 2000u);
}

TEST_F(ShareCommandLine, BothWordsOfASwitchAreKnownWhateverItsDefault) {
  share.xattr = false;
  parse({"--xattr", "--no-readonly", "local:/srv"});
  EXPECT_TRUE(share.xattr);
  EXPECT_FALSE(share.readonly);
}

TEST_F(ShareCommandLine, ValueThatCannotBeIsRefusedWithItsWord) {
  for (const std::string word :
       {"--cache=x", "--attr-timeout=-1", "--attr-timeout=1s", "--attr-timeout=nan",
        "--attr-timeout=inf", "--attr-timeout=1e3", "--attr-timeout=4000001", "--entry-timeout=x",
        "--inode-file-handles=yes", "--xattrmap=:ok:", "--translate-uid=map:0:0",
        "--translate-gid=x"}) {
    try {
      parse({word});
      ADD_FAILURE() << word;
    } catch (const CLI::ParseError& error) {
      const std::string said = error.what();
      EXPECT_NE(said.find(word.substr(0, word.find('='))), std::string::npos) << said;
    }
  }
}

}  // namespace
}  // namespace dpfs
