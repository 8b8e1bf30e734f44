// SPDX-License-Identifier: Apache-2.0
// Devices, FIFOs and sockets: stored by the file system, served by the local kernel.
#include <poll.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#include "tests/posix/suite/case.h"

namespace dpfs::posix {
namespace {

sockaddr_un address_of(const std::string& name) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  name.copy(address.sun_path, sizeof address.sun_path - 1);
  return address;
}

int bind_to(int socket, const std::string& name) {
  const sockaddr_un address = address_of(name);
  return bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

int connect_to(int socket, const std::string& name) {
  const sockaddr_un address = address_of(name);
  return connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

Fd new_socket() { return Fd(WORKS(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0))); }

}  // namespace

CASE(special, devices_have_type_and_number) {
  need_root();
  WORKS(mknod("c", S_IFCHR | 0600, makedev(1, 3)));
  WORKS(mknod("b", S_IFBLK | 0640, makedev(259, 1048575)));
  HOLDS(S_ISCHR(status("c").st_mode));
  HOLDS(S_ISBLK(status("b").st_mode));
  EQUAL(makedev(1, 3), status("c").st_rdev);
  EQUAL(makedev(259, 1048575), status("b").st_rdev);
  EQUAL(0640, mode_of("b"));
}

CASE(special, devices_are_roots_to_make) {
  need_root();
  WORKS(chmod(".", 0777));
  as(kAlice, [] {
    FAILS(EPERM, mknod("c", S_IFCHR | 0600, makedev(1, 3)));
    FAILS(EPERM, mknod("b", S_IFBLK | 0600, makedev(1, 3)));
    WORKS(mknod("p", S_IFIFO | 0600, 0));
    WORKS(mknod("s", S_IFSOCK | 0600, 0));
    WORKS(mknod("f", S_IFREG | 0600, 0));
  });
}

CASE(special, null_device_works) {
  need_root();
  WORKS(mknod("null", S_IFCHR | 0666, makedev(1, 3)));
  const int fd = open("null", O_RDWR | O_CLOEXEC);
  if (fd < 0 && errno == EACCES) skip("devices do nothing on this mount (nodev)");
  const Fd null(WORKS(fd));
  char byte;
  EQUAL(0, WORKS(read(null.get(), &byte, 1)));
  EQUAL(5, WORKS(write(null.get(), "bytes", 5)));
}

CASE(special, fifo_carries_bytes_between_processes) {
  WORKS(mkfifo("p", 0600));
  Peer peer([](Peer&) {
    const Fd writer = open_file("p", O_WRONLY);
    WORKS(write(writer.get(), "through", 7));
  });
  const Fd reader = open_file("p", O_RDONLY);
  char block[16] = {};
  EQUAL(7, WORKS(read(reader.get(), block, sizeof block)));
  EQUAL("through", std::string(block));
  peer.join();
  EQUAL(0, WORKS(read(reader.get(), block, sizeof block)));
  EQUAL(0, status("p").st_size);
}

CASE(special, fifo_without_a_reader_is_enxio) {
  WORKS(mkfifo("p", 0600));
  FAILS(ENXIO, open("p", O_WRONLY | O_NONBLOCK));
  const Fd reader = open_file("p", O_RDONLY | O_NONBLOCK);
  open_file("p", O_WRONLY | O_NONBLOCK);
  FAILS(ESPIPE, lseek(reader.get(), 0, SEEK_SET));
}

CASE(special, fifo_modes_count) {
  need_root();
  WORKS(mkfifo("p", 0600));
  as(kAlice, [] { FAILS(EACCES, open("p", O_RDONLY | O_NONBLOCK)); });
}

CASE(special, fifo_is_renamed_and_unlinked_while_open) {
  WORKS(mkfifo("p", 0600));
  const Fd both = open_file("p", O_RDWR);
  WORKS(rename("p", "q"));
  const Fd same = open_file("q", O_RDWR);
  WORKS(unlink("q"));
  WORKS(write(both.get(), "x", 1));
  char byte = 0;
  WORKS(read(same.get(), &byte, 1));
  EQUAL('x', byte);
}

CASE(special, socket_is_bound_and_connected) {
  const Fd listener = new_socket();
  WORKS(bind_to(listener.get(), "s"));
  HOLDS(S_ISSOCK(status("s").st_mode));
  WORKS(listen(listener.get(), 1));
  const Fd client = new_socket();
  WORKS(connect_to(client.get(), "s"));
  const Fd server(WORKS(accept(listener.get(), nullptr, nullptr)));
  WORKS(write(client.get(), "hello", 5));
  char block[16] = {};
  EQUAL(5, WORKS(read(server.get(), block, sizeof block)));
}

CASE(special, socket_names_are_taken_once) {
  const Fd first = new_socket();
  const Fd second = new_socket();
  WORKS(bind_to(first.get(), "s"));
  FAILS(EADDRINUSE, bind_to(second.get(), "s"));
  FAILS(ENXIO, open("s", O_RDWR));
  WORKS(unlink("s"));
  WORKS(bind_to(second.get(), "s"));
}

CASE(special, socket_without_a_listener_is_econnrefused) {
  WORKS(mknod("s", S_IFSOCK | 0666, 0));
  const Fd client = new_socket();
  FAILS(ECONNREFUSED, connect_to(client.get(), "s"));
  FAILS(ENOENT, connect_to(client.get(), "missing"));
}

CASE(special, socket_needs_write_permission) {
  need_root();
  const Fd listener = new_socket();
  WORKS(bind_to(listener.get(), "s"));
  WORKS(listen(listener.get(), 1));
  WORKS(chmod("s", 0600));
  as(kAlice, [] {
    const Fd client = new_socket();
    FAILS(EACCES, connect_to(client.get(), "s"));
  });
}

CASE(special, files_are_always_ready) {
  make_file("f", "text");
  const Fd file = open_file("f", O_RDWR);
  pollfd ready{file.get(), POLLIN | POLLOUT, 0};
  EQUAL(1, WORKS(poll(&ready, 1, 0)));
  EQUAL(POLLIN | POLLOUT, ready.revents);
}

CASE(sync, each_kind_works) {
  make_file("f");
  make_directory("d");
  const Fd file = open_file("f", O_RDWR);
  write_at(file, 0, pattern(100000));
  WORKS(fdatasync(file.get()));
  WORKS(fsync(file.get()));
  WORKS(syncfs(file.get()));
  WORKS(sync_file_range(file.get(), 0, 0, SYNC_FILE_RANGE_WRITE));
  const Fd directory = open_file("d", O_RDONLY | O_DIRECTORY);
  WORKS(fsync(directory.get()));
  WORKS(fdatasync(directory.get()));
  HOLDS(content("f") == pattern(100000));
}

CASE(sync, of_descriptors_that_only_read) {
  make_file("f", "text");
  const Fd file = open_file("f", O_RDONLY);
  WORKS(fsync(file.get()));
  FAILS(EBADF, fsync(-1));
  int ends[2];
  WORKS(pipe(ends));
  FAILS(EINVAL, fsync(ends[0]));
}

CASE(sync, what_is_synchronized_is_seen_by_another_path) {
  const std::string also = also_path("f");
  const Fd file = open_file("f", O_RDWR | O_CREAT);
  write_at(file, 0, pattern(50000));
  WORKS(fsync(file.get()));
  HOLDS(content(also) == pattern(50000));
}

}  // namespace dpfs::posix
