// SPDX-License-Identifier: Apache-2.0
// Connection: records out and in over a real socket, whatever pieces they come in.
#include "backend/nfs/connection.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <condition_variable>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/op.h"
#include "guest/fake_guest.h"
#include "io/reactor_harness.h"

namespace dpfs::nfs {
namespace {

constexpr uint32_t kLastFragment = 0x80000000;

std::string word(uint32_t value) {
  value = to_big_endian(value);
  return {reinterpret_cast<const char*>(&value), sizeof value};
}
std::string record(const std::string& payload, bool last = true) {
  return word(static_cast<uint32_t>(payload.size()) | (last ? kLastFragment : 0)) + payload;
}
std::string patterned(size_t size, char seed = 'a') {
  std::string text(size, 0);
  for (size_t i = 0; i < size; ++i) text[i] = static_cast<char>(seed + i * 7 + i / 256);
  return text;
}
// The answer to SEQUENCE, PUTFH, READ up to its data.
std::string read_head(uint32_t bytes) {
  std::string text;
  for (const uint32_t item : {1u, 1u, 0u, 0u, 0u, 0u, 0u, 0u, 3u, 53u, 0u}) text += word(item);
  text += std::string(36, 's');
  for (const uint32_t item : {22u, 0u, 25u, 0u, 0u}) text += word(item);
  return text + word(bytes);
}
std::string read_answer(const std::string& data) {
  return read_head(static_cast<uint32_t>(data.size())) + data +
         std::string(xdr_padding(data.size()), '\0');
}

// What has come, as the reactor's thread notes it and the test waits for it.
class Owner final : public ConnectionOwner {
 public:
  struct Came {
    std::string bytes;
    size_t placed;
    bool place_failed;
  };

  void connected(Connection&) noexcept override {
    note([&] { connected_ = true; });
  }
  IoView place(Bytes head, DataPlace& place) noexcept override {
    const std::optional<DataPlace> found = find_read_data(head);
    if (!found) return {};
    place = *found;
    if (before_placing) before_placing();
    return IoView(places);
  }
  bool received(const Record& record) noexcept override {
    bool takes = true;
    note([&] {
      const auto* text = reinterpret_cast<const char*>(record.bytes.data());
      came_.push_back({{text, record.bytes.size()}, record.placed, record.place_failed});
      takes = came_.size() != refused;
    });
    return takes;
  }
  void lost(Connection&, Errno why) noexcept override {
    note([&] { lost_ = why; });
  }

  void wait_until_connected() {
    wait([&] { return connected_; });
  }
  std::vector<Came> wait_for(size_t records) {
    wait([&] { return came_.size() >= records || lost_ != Errno::none; });
    return came_;
  }
  Errno wait_until_lost() {
    wait([&] { return lost_ != Errno::none; });
    return lost_;
  }
  void forget() {
    note([&] {
      lost_ = Errno::none;
      connected_ = false;
    });
  }

  std::vector<iovec> places;  // nowhere: anywhere
  std::function<void()> before_placing;
  size_t refused = 0;  // which record: 1 is the first

 private:
  void note(const std::function<void()>& what) {
    const std::scoped_lock lock(mutex_);
    what();
    changed_.notify_all();
  }
  void wait(const std::function<bool()>& until) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, until);
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  bool connected_ = false;
  Errno lost_ = Errno::none;
  std::vector<Came> came_;
};

class NfsConnection : public testing::Test, public RunningReactor {
 protected:
  NfsConnection() {
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&any), sizeof any), 0);
    EXPECT_EQ(listen(listener.get(), 8), 0);
    address.size = sizeof address.bytes;
    getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address.bytes), &address.size);
    call([&] { connection = std::make_unique<Connection>(reactor, owner); });
  }
  ~NfsConnection() override {
    call([&] { connection.reset(); });
  }

  void connect() {
    call([&] { connection->connect(address); });
    server.reset(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    const int on = 1;
    setsockopt(server.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    owner.wait_until_connected();
  }
  void say(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(server.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      ASSERT_GT(n, 0);
      bytes.remove_prefix(static_cast<size_t>(n));
    }
  }
  // In pieces, with a turn of the reactor's between them.
  void say_slowly(std::string_view bytes, size_t piece) {
    while (!bytes.empty()) {
      say(bytes.substr(0, piece));
      bytes.remove_prefix(std::min(piece, bytes.size()));
      turn();
    }
  }
  std::string hear(size_t bytes) {
    std::string text(bytes, 0);
    EXPECT_EQ(recv(server.get(), text.data(), bytes, MSG_WAITALL), static_cast<ssize_t>(bytes));
    turn();  // the sender knows
    return text;
  }

  Fd listener{socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  Address address;
  Owner owner;
  std::unique_ptr<Connection> connection;
  Fd server;
};

Bytes bytes_of(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

TEST_F(NfsConnection, AMessageIsItsHeadItsTailAndZeros) {
  connect();
  Message message;
  message.head = bytes_of("HEAD");
  message.tail = bytes_of("data!");
  call([&] { connection->send(message); });
  EXPECT_EQ(hear(12), std::string("HEADdata!\0\0\0", 12));
}

TEST_F(NfsConnection, ManyMessagesGoInTheirOrder) {
  connect();
  constexpr size_t kMessages = 1000;  // more than one system call takes
  std::vector<Message> messages(kMessages);
  std::vector<std::string> heads(kMessages);
  std::string expected;
  for (size_t i = 0; i < kMessages; ++i) {
    heads[i] = word(static_cast<uint32_t>(i));
    messages[i].head = bytes_of(heads[i]);
    expected += heads[i];
  }
  call([&] {
    for (Message& message : messages) connection->send(message);
  });
  EXPECT_EQ(hear(expected.size()), expected);
}

TEST_F(NfsConnection, WhatTheServerDoesNotReadYetIsSentLater) {
  connect();
  const std::string data = patterned(6'000'001);  // more than any socket buffers
  std::vector<Message> messages(3);
  std::string expected;
  for (Message& message : messages) {
    message.head = bytes_of("HEAD");
    message.tail = bytes_of(data);
    expected += "HEAD" + data + std::string(3, '\0');
  }
  call([&] {
    for (Message& message : messages) connection->send(message);
  });
  turn();
  EXPECT_TRUE(hear(expected.size()) == expected);
}

TEST_F(NfsConnection, RecordsComeOutOneByOne) {
  connect();
  say(record("first") + record("") + record("third"));
  const auto came = owner.wait_for(3);
  ASSERT_EQ(came.size(), 3u);
  EXPECT_EQ(came[0].bytes, "first");
  EXPECT_EQ(came[1].bytes, "");
  EXPECT_EQ(came[2].bytes, "third");
}

TEST_F(NfsConnection, BytesMayComeOneByOne) {
  connect();
  say_slowly(record("first") + record("second"), 1);
  const auto came = owner.wait_for(2);
  ASSERT_EQ(came.size(), 2u);
  EXPECT_EQ(came[1].bytes, "second");
}

TEST_F(NfsConnection, FragmentsAreOneRecord) {
  connect();
  const std::string long_one = patterned(200'000);
  say_slowly(record("ab", false) + record("", false) + record("c") +
                 record(long_one.substr(0, 150'000), false) + record(long_one.substr(150'000)) +
                 record("next"),
             40'000);
  const auto came = owner.wait_for(3);
  ASSERT_EQ(came.size(), 3u);
  EXPECT_EQ(came[0].bytes, "abc");
  EXPECT_TRUE(came[1].bytes == long_one);
  EXPECT_EQ(came[2].bytes, "next");
}

TEST_F(NfsConnection, ARecordMayBeLongerThanTheBuffer) {
  connect();
  call([&] { connection->set_record_max(1 << 20); });
  const std::string long_one = patterned(1 << 20);
  say(record(long_one) + record("next"));
  const auto came = owner.wait_for(2);
  ASSERT_EQ(came.size(), 2u);
  EXPECT_TRUE(came[0].bytes == long_one);
  EXPECT_EQ(came[1].bytes, "next");
}

TEST_F(NfsConnection, ARecordThatIsTooLongEndsIt) {
  connect();
  call([&] { connection->set_record_max(1000); });
  say(record(std::string(1000, 'x')) + word(kLastFragment | 1001));
  EXPECT_EQ(owner.wait_until_lost(), Errno::proto);
  EXPECT_EQ(owner.wait_for(1).size(), 1u);
}

TEST_F(NfsConnection, FragmentsThatAreTooLongTogetherEndIt) {
  connect();
  call([&] { connection->set_record_max(1000); });
  say(record(std::string(600, 'x'), false) + word(401));
  EXPECT_EQ(owner.wait_until_lost(), Errno::proto);
}

TEST_F(NfsConnection, ARecordThatIsRefusedEndsIt) {
  connect();
  owner.refused = 2;
  say(record("good") + record("nonsense") + record("not looked at"));
  EXPECT_EQ(owner.wait_until_lost(), Errno::proto);
  EXPECT_EQ(owner.wait_for(2).size(), 2u);
}

TEST_F(NfsConnection, AServerThatHangsUpIsLost) {
  connect();
  say(record("good") + word(kLastFragment | 10) + "hal");
  server.reset();
  EXPECT_EQ(owner.wait_until_lost(), Errno::notconn);
  EXPECT_EQ(owner.wait_for(1).size(), 1u);
}

TEST_F(NfsConnection, AnEndThatComesWithTheLastDataIsSeen) {
  connect();
  // Where many answers are awaited, it is not looked for at each turn.
  const std::string text = "ask!";
  std::array<Message, 16> messages;
  for (Message& message : messages) {
    message.head = bytes_of(text);
  }
  call([&] {
    for (Message& message : messages) connection->send(message);
  });
  hear(messages.size() * text.size());
  // Both are there before the reactor looks: it is told of them once.
  call([this] {
    say(record("last"));
    server.reset();
  });
  EXPECT_EQ(owner.wait_until_lost(), Errno::notconn);
  EXPECT_EQ(owner.wait_for(1).size(), 1u);
}

TEST_F(NfsConnection, MayBeConnectedAgainAndBeginsAnew) {
  connect();
  say(word(kLastFragment | 10) + "hal");
  server.reset();
  owner.wait_until_lost();
  owner.forget();
  connect();
  say(record("whole"));
  const auto came = owner.wait_for(1);
  ASSERT_EQ(came.size(), 1u);
  EXPECT_EQ(came[0].bytes, "whole");
}

TEST_F(NfsConnection, NobodyListensIsAnError) {
  listener.reset();
  call([&] { connection->connect(address); });
  EXPECT_EQ(owner.wait_until_lost(), Errno{ECONNREFUSED});
  call([&] { EXPECT_TRUE(connection->has_failed()); });
}

TEST_F(NfsConnection, CloseTakesBackWhatIsQueued) {
  connect();
  Message message;
  message.head = bytes_of("HEAD");
  call([&] {
    connection->send(message);
    EXPECT_TRUE(message.linked());
    connection->close();
    EXPECT_FALSE(message.linked());
  });
  char byte;
  EXPECT_EQ(recv(server.get(), &byte, 1, 0), 0);
  turn();  // nothing is left of it for a turn to come
}

TEST_F(NfsConnection, MessageThatWasNotBegunIsTakenBackWithoutATrace) {
  connect();
  Message one;
  Message two;
  one.head = bytes_of("ONE_");
  two.head = bytes_of("TWO_");
  call([&] {
    connection->send(one);
    connection->send(two);
    connection->withdraw(one);
    connection->withdraw(one);  // it is out already
    EXPECT_FALSE(one.linked());
    EXPECT_TRUE(connection->is_connected());
  });
  std::array<char, 4> came{};
  EXPECT_EQ(recv(server.get(), came.data(), came.size(), MSG_WAITALL), 4);
  EXPECT_EQ(std::string_view(came.data(), came.size()), "TWO_");
  turn();  // the reactor has done with it
}

// The server would take what follows for the rest of it.
TEST_F(NfsConnection, MessageThatIsHalfSentIsTakenBackWithTheConnection) {
  connect();
  const std::vector<uint8_t> more_than_fits(64u << 20);
  Message message;
  message.head = bytes_of("HEAD");
  message.tail = more_than_fits;
  Message behind;
  behind.head = bytes_of("MORE");
  call([&] {
    connection->send(message);
    connection->send(behind);
  });
  char byte;
  ASSERT_EQ(recv(server.get(), &byte, 1, 0), 1);
  call([&] { connection->withdraw(message); });
  owner.wait_until_lost();
  call([&] {
    EXPECT_FALSE(message.linked());
    connection->close();
  });
}

// Long data, received into the tenant's memory.
class PlacedData : public NfsConnection {
 protected:
  static constexpr size_t kBytes = 512 * 1024;
  PlacedData() : memory(memory_file(kBytes)) {
    const Result<GuestRegion*> mapped =
        GuestRegion::map({GuestAddress{0}, UserAddress{0}, kBytes, 0}, memory);
    EXPECT_TRUE(mapped);
    region.reset(*mapped);
    in_pieces(kBytes);
  }
  void in_pieces(size_t piece) {
    owner.places.clear();
    for (size_t at = 0; at < kBytes; at += piece) {
      owner.places.push_back({region->base() + at, std::min(piece, kBytes - at)});
    }
  }
  std::string placed(size_t bytes) const { return {region->base(), bytes}; }

  Fd memory;
  std::unique_ptr<GuestRegion> region;
};

TEST_F(PlacedData, LiesWhereItIsAskedForWithoutItsPadding) {
  connect();
  for (const size_t size : {100'000, 100'001, 100'002, 100'003}) {
    const std::string data = patterned(size, static_cast<char>(size));
    std::memset(region->base(), 0, kBytes);
    const size_t before = owner.wait_for(0).size();
    say_slowly(record(read_answer(data)) + record("next"), 70'000);
    const auto came = owner.wait_for(before + 2);
    ASSERT_EQ(came.size(), before + 2);
    EXPECT_EQ(came[before].bytes, read_head(static_cast<uint32_t>(size)));
    EXPECT_EQ(came[before].placed, size);
    EXPECT_FALSE(came[before].place_failed);
    EXPECT_TRUE(placed(size) == data);
    EXPECT_EQ(region->base()[size], 0);
    EXPECT_EQ(came[before + 1].bytes, "next");
  }
}

TEST_F(PlacedData, MayLieInMorePiecesThanOneCallTakes) {
  connect();
  in_pieces(100);
  const std::string data = patterned(150'001);
  say_slowly(record(read_answer(data)) + record("next"), 50'000);
  const auto came = owner.wait_for(2);
  ASSERT_EQ(came.size(), 2u);
  EXPECT_TRUE(placed(data.size()) == data);
  EXPECT_EQ(came[1].bytes, "next");
}

TEST_F(PlacedData, MayBeCutAnywhere) {
  connect();
  const std::string data = patterned(33'333);
  const std::string stream = record(read_answer(data)) + record("next");
  const size_t head = 4 + read_head(0).size();
  size_t records = 0;
  for (const size_t cut :
       {size_t{3}, size_t{259}, size_t{260}, size_t{261}, head, head + 1, size_t{20'000},
        head + 33'332, head + 33'333, head + 33'334, head + 33'336, head + 33'338, head + 33'340}) {
    std::memset(region->base(), 0, kBytes);
    say(stream.substr(0, cut));
    turn();
    turn();
    say(stream.substr(cut));
    records += 2;
    const auto came = owner.wait_for(records);
    ASSERT_EQ(came.size(), records) << cut;
    EXPECT_EQ(came.back().bytes, "next") << cut;
    const auto& answer = came[records - 2];
    if (answer.placed > 0) {
      EXPECT_TRUE(placed(data.size()) == data) << cut;
    } else {
      EXPECT_TRUE(answer.bytes == read_answer(data)) << cut;  // it came at once
    }
  }
}

TEST_F(PlacedData, ThatHasNoRoomIsAnOrdinaryRecord) {
  connect();
  owner.places.resize(1);
  owner.places[0].iov_len = 90'000;
  const std::string data = patterned(100'000);
  say_slowly(record(read_answer(data)), 50'000);
  const auto came = owner.wait_for(1);
  ASSERT_EQ(came.size(), 1u);
  EXPECT_EQ(came[0].placed, 0u);
  EXPECT_TRUE(came[0].bytes == read_answer(data));
}

TEST_F(PlacedData, WhoseMemoryIsTakenAwayIsDroppedAndTheNextRecordIsRead) {
  connect();
  const std::string data = patterned(200'001);
  owner.before_placing = [&] { ASSERT_EQ(ftruncate(memory.get(), 64 * 1024), 0); };
  say_slowly(record(read_answer(data)) + record("next"), 10'000);
  const auto came = owner.wait_for(2);
  ASSERT_EQ(came.size(), 2u);
  EXPECT_EQ(came[0].placed, data.size());
  EXPECT_TRUE(came[0].place_failed);
  EXPECT_EQ(came[1].bytes, "next");
}

TEST_F(PlacedData, IsForgottenWithTheConnection) {
  connect();
  const std::string data = patterned(200'000);
  say_slowly(record(read_answer(data)).substr(0, 100'000), 30'000);
  server.reset();
  EXPECT_EQ(owner.wait_until_lost(), Errno::notconn);
  owner.forget();
  connect();
  say(record("whole"));
  const auto came = owner.wait_for(1);
  ASSERT_EQ(came.size(), 1u);
  EXPECT_EQ(came[0].bytes, "whole");
}

}  // namespace
}  // namespace dpfs::nfs
