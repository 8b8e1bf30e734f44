// SPDX-License-Identifier: Apache-2.0
// Making, reading and looking at files in one line each. What fails ends the case.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/fd.h"

namespace dpfs::posix {

inline constexpr int64_t kMib = 1 << 20;

void make_file(const std::string& path, const std::string& text = "", mode_t mode = 0644);
void make_directory(const std::string& path, mode_t mode = 0755);
void make_symlink(const std::string& target, const std::string& path);
Fd open_file(const std::string& path, int flags, mode_t mode = 0644);

// Of the name itself, not of what a symlink leads to.
struct stat status(const std::string& path);
struct stat status(const Fd& file);
mode_t mode_of(const std::string& path);  // the permission bits
bool exists(const std::string& path);

std::string content(const std::string& path);
std::string content(const Fd& file);  // from its beginning, by pread
std::string read_at(const Fd& file, int64_t offset, size_t size);
void write_at(const Fd& file, int64_t offset, const std::string& text);
// Bytes that differ from place to place, the same for the same seed.
std::string pattern(size_t size, uint32_t seed = 1);

// Sorted, without "." and "..".
std::vector<std::string> names_in(const std::string& path);
void remove_tree(const std::string& path);

int64_t nanoseconds(const timespec& time);

// Name and removal of a descriptor's path below /proc.
std::string proc_path(const Fd& file);

}  // namespace dpfs::posix
