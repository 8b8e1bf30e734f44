// SPDX-License-Identifier: Apache-2.0
// A file system goes through a stream as it is; a stream that is broken anywhere makes none.
#include "backend/kv/stream/stream.h"

#include <gmock/gmock.h>

#include <map>

#include "backend/kv/check/sample.h"
#include "backend/kv/stream/export.h"
#include "backend/kv/stream/import.h"

namespace dpfs::kv {
namespace {

class IntoText final : public ExportSink {
 public:
  Errno write(std::string_view bytes) noexcept override {
    text += bytes;
    return Errno::none;
  }
  std::string text;
};

class FromText final : public ImportSource {
 public:
  explicit FromText(std::string_view text) noexcept : rest_(text) {}
  Errno read(std::span<char> into, size_t& got) noexcept override {
    got = rest_.copy(into.data(), into.size());
    rest_.remove_prefix(got);
    return Errno::none;
  }

 private:
  std::string_view rest_;
};

class StreamTest : public SampleFileSystem {
 protected:
  std::string exported() {
    client_.reset();
    IntoText sink;
    ContractClient runner(reactor_, make_store("runner"));
    EXPECT_EQ(runner.why<Unit>([&] { return do_export(sink); }), Errno::none);
    open();
    return sink.text;
  }
  Errno import(std::string_view text, const std::string& partition = "copy") {
    FromText source(text);
    ContractClient runner(reactor_, make_store("runner"));
    return runner.why<Unit>([&] { return do_import(source, partition); });
  }
  using Records = std::map<std::string, std::string>;
  // All but the session.
  Records records_of(const std::string& partition) {
    Records out;
    client_.reset();
    {
      ContractClient client(reactor_, make_store(partition));
      EXPECT_EQ(client.open(), Errno::none);
      for (const Collection collection :
           {Collection::superblock, Collection::allocator, Collection::usage, Collection::inode,
            Collection::entry, Collection::listing, Collection::contents, Collection::xattr,
            Collection::pages, Collection::orphan, Collection::garbage, Collection::chunk}) {
        for (const KeptRecord& record : client.sweep(collection)) {
          out[letter_of(collection) + number_text(static_cast<int64_t>(record.object)) +
              number_text(static_cast<int64_t>(record.number)) + record.name] = record.value;
        }
      }
    }
    open();
    return out;
  }

 private:
  Op<Unit> do_export(IntoText& sink) {
    OwnedStore owned(reactor_.reactor, make_store(), {});
    NoProgress progress;
    Export exporting(owned, sink, progress);
    Result<Unit> ok = co_await owned.open();
    if (ok) ok = co_await exporting.run();
    const Result<Unit> closed = co_await owned.close();
    co_return ok ? closed : ok;
  }
  Op<Unit> do_import(FromText& source, std::string partition) {
    const std::unique_ptr<Store> store = make_store(partition);
    NoProgress progress;
    Import importing(reactor_.reactor, *store, source, progress);
    Result<Unit> ok = co_await store->open();
    if (ok) ok = co_await importing.run();
    const Result<Unit> closed = co_await store->close();
    co_return ok ? closed : ok;
  }
};

TEST_F(StreamTest, ACopyHasTheSameRecords) {
  const std::string text = exported();
  EXPECT_EQ(import(text), Errno::none);
  const Records original = records_of("main");
  EXPECT_GT(original.size(), 20u);
  EXPECT_EQ(records_of("copy"), original);
}

TEST_F(StreamTest, ALargeFileSystemTakesSeveralBlocks) {
  for (uint64_t i = 0; i < 60; ++i) put(chunk_key(100, i), some_text(kChunk, i));
  const std::string text = exported();
  EXPECT_GT(text.size(), 3u << 20);
  EXPECT_EQ(import(text), Errno::none);
  EXPECT_EQ(records_of("copy"), records_of("main"));
}

TEST_F(StreamTest, AStreamThatEndsTooEarlyLeavesNothing) {
  const std::string text = exported();
  for (size_t cut = 0; cut < text.size(); cut += 1 + text.size() / 40) {
    EXPECT_EQ(import(std::string_view(text).substr(0, cut)), Errno::inval) << cut;
    EXPECT_EQ(records_of("copy"), Records()) << cut;
  }
}

TEST_F(StreamTest, AStreamWithAWrongByteLeavesNothing) {
  const std::string text = exported();
  for (size_t at = 0; at < text.size(); at += 1 + text.size() / 40) {
    std::string wrong = text;
    wrong[at] = static_cast<char>(wrong[at] ^ 1);
    EXPECT_EQ(import(wrong), Errno::inval) << at;
    EXPECT_EQ(records_of("copy"), Records()) << at;
  }
}

TEST_F(StreamTest, AStreamWithoutASuperblockMakesNoFileSystem) {
  erase({.collection = Collection::pages, .object = 1});
  StreamHeader header{.format = kFormat};
  std::array<char, kStreamHeaderBytes> room;
  std::string text(encode(header, room));
  BlockWriter blocks;
  EXPECT_TRUE(blocks.add(inode_key(1), "an inode"));
  text += blocks.finish();
  text += blocks.end();
  EXPECT_EQ(import(text), Errno::inval);
  EXPECT_EQ(records_of("copy"), Records());
}

TEST_F(StreamTest, AFileSystemIsNotWrittenOver) {
  const std::string text = exported();
  const Records before = records_of("main");
  client_.reset();
  EXPECT_EQ(import(text, "main"), Errno::exist);
  open();
  EXPECT_EQ(records_of("main"), before);
}

TEST_F(StreamTest, ANewerStreamIsRefused) {
  StreamHeader header{.version = kStreamVersion + 1, .format = kFormat};
  std::array<char, kStreamHeaderBytes> room;
  EXPECT_EQ(import(encode(header, room)), Errno::inval);
  header = {.format = kFormat + 1};
  EXPECT_EQ(import(encode(header, room)), Errno::inval);
}

TEST(BlockReader, WhatWasAddedComesBack) {
  BlockWriter writer;
  EXPECT_TRUE(writer.add(entry_key(7, "name"), "value"));
  EXPECT_TRUE(writer.add(chunk_key(8, 9), ""));
  const std::string block(writer.finish());
  BlockHeader header;
  ASSERT_TRUE(decode(std::string_view(block).substr(0, kBlockHeaderBytes), header));
  const std::string_view payload = std::string_view(block).substr(kBlockHeaderBytes);
  EXPECT_TRUE(is_whole(header, payload));
  BlockReader reader(payload);
  Key key{};
  std::string_view value;
  ASSERT_TRUE(reader.next(key, value));
  EXPECT_EQ(key.name, "name");
  EXPECT_EQ(value, "value");
  ASSERT_TRUE(reader.next(key, value));
  EXPECT_EQ(key.number, 9u);
  EXPECT_FALSE(reader.next(key, value));
  EXPECT_FALSE(reader.is_broken());
}

TEST(BlockReader, ANamedRecordWithoutANameIsRefused) {
  std::string record(1 + 8 + 8 + 1 + 4, '\0');
  record[0] = letter_of(Collection::entry);
  BlockReader reader(record);
  Key key{};
  std::string_view value;
  EXPECT_FALSE(reader.next(key, value));
  EXPECT_TRUE(reader.is_broken());
}

}  // namespace
}  // namespace dpfs::kv
