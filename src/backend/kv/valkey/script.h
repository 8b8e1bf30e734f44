// SPDX-License-Identifier: Apache-2.0
// The scripts, as the server has them.
#pragma once

#include <string_view>

namespace dpfs::kv::valkey {

// One commit. Everything is checked before anything is written, for a script that fails later is
// not undone.
//
// KEYS: the partition's progress; then those of the checks; then those of the writes.
// ARGV: 1 the store's incarnation, 2 the number of the commit before, 3 this one's number, 4 up to
// which number answers have come (all 16 digits), 5 the checks, 6 the writes, one letter each, 7
// "1": it may free memory, and is carried out where there is none; then the arguments of checks and
// writes, in their order.
//
//   check                                       keys             arguments
//   A  there is no such string                  string
//   P  there is, and it begins with             string           prefix
//   a  there is no such item                    hash             item
//   p  there is, and it begins with             hash             item, prefix
//   N  it is a number, or absent                string
//   n  it is a number, or absent                hash             item
//
//   write
//   S  put                                      string           value
//   D  erase                                    string
//   I  add                                      string           8 bytes
//   R  patch                                    string           at, bytes
//   T  cut                                      string           bytes left
//   H  put                                      hash, index      item, value
//   X  erase                                    hash, index      item
//   J  add                                      hash, index      item, 8 bytes
//
// Answers: 1 done, 0 a comparison failed and nothing was written, -1 the commit before is not the
// one that was carried out last and nothing was written, -2 no number where one should be, and
// nothing was written.
//
// The progress has for each incarnation the number of its last commit, carried out or failed, and
// those behind ARGV[4] that failed: "0000000000000012 0000000000000009". That is how a store learns
// after a broken connection what became of each commit, and after a failover what was lost. It
// changes together with what the commit writes, here, on replicas and in the append-only file.
// It is kept for the 64 incarnations that began last. One that has changed nothing yet leaves
// nothing there, so that daemons that are refused again and again do not crowd out the one that
// serves.
inline constexpr std::string_view kCommitScript = R"lua(
local call, byte, sub = redis.call, string.byte, string.sub
local progress, me, number = KEYS[1], ARGV[1], ARGV[3]
local state = call('HGET', progress, me)
local last, failures = '0000000000000000', ''
if state then last, failures = sub(state, 1, 16), sub(state, 17) end
if last ~= ARGV[2] then return -1 end
local checks, writes = ARGV[5], ARGV[6]
local k, a = 2, 8
local answer = 1
for i = 1, #checks do
  local op = byte(checks, i)
  local holds
  if op == 65 then
    holds = call('EXISTS', KEYS[k]) == 0
  elseif op == 80 then
    local prefix = ARGV[a]
    a = a + 1
    if #prefix == 0 then
      holds = call('EXISTS', KEYS[k]) == 1
    else
      holds = call('GETRANGE', KEYS[k], 0, #prefix - 1) == prefix
    end
  elseif op == 97 then
    holds = call('HEXISTS', KEYS[k], ARGV[a]) == 0
    a = a + 1
  elseif op == 112 then
    local value = call('HGET', KEYS[k], ARGV[a])
    local prefix = ARGV[a + 1]
    holds = value and sub(value, 1, #prefix) == prefix
    a = a + 2
  else
    local value
    if op == 78 then
      value = call('GET', KEYS[k])
    else
      value = call('HGET', KEYS[k], ARGV[a])
      a = a + 1
    end
    holds = true
    if value and #value ~= 8 then
      answer = -2
      break
    end
  end
  if not holds then
    answer = 0
    break
  end
  k = k + 1
end
if ARGV[7] == '1' then call('HDEL', progress, '') end
if not state and answer ~= 1 then return answer end
if answer == 1 and failures == '' then
  call('HSET', progress, me, number)
else
  local kept = {number}
  for failure in string.gmatch(failures, '%d+') do
    if failure > ARGV[4] then kept[#kept + 1] = failure end
  end
  if answer ~= 1 then kept[#kept + 1] = number end
  call('HSET', progress, me, table.concat(kept, ' '))
end
if not state and call('HLEN', progress) > 64 then
  local all = call('HKEYS', progress)
  table.sort(all)
  for i = 1, #all - 64 do
    if all[i] ~= me then call('HDEL', progress, all[i]) end
  end
end
if answer ~= 1 then return answer end
local function sum(old, more)
  if not old then return more end
  local carry, bytes = 0, {}
  for i = 8, 1, -1 do
    local n = byte(old, i) + byte(more, i) + carry
    carry = 0
    if n > 255 then n, carry = n - 256, 1 end
    bytes[i] = string.char(n)
  end
  return table.concat(bytes)
end
for i = 1, #writes do
  local op = byte(writes, i)
  local key = KEYS[k]
  k = k + 1
  if op == 83 then
    call('SET', key, ARGV[a])
    a = a + 1
  elseif op == 68 then
    call('UNLINK', key)
  elseif op == 72 then
    if call('HSET', key, ARGV[a], ARGV[a + 1]) == 1 then call('ZADD', KEYS[k], 0, ARGV[a]) end
    k = k + 1
    a = a + 2
  elseif op == 88 then
    if call('HDEL', key, ARGV[a]) == 1 then call('ZREM', KEYS[k], ARGV[a]) end
    k = k + 1
    a = a + 1
  elseif op == 73 then
    call('SET', key, sum(call('GET', key), ARGV[a]))
    a = a + 1
  elseif op == 74 then
    call('HSET', key, ARGV[a], sum(call('HGET', key, ARGV[a]), ARGV[a + 1]))
    call('ZADD', KEYS[k], 0, ARGV[a])
    k = k + 1
    a = a + 2
  elseif op == 82 then
    local bytes = ARGV[a + 1]
    if #bytes > 0 then call('SETRANGE', key, ARGV[a], bytes) end
    a = a + 2
  elseif op == 84 then
    local left = tonumber(ARGV[a])
    a = a + 1
    if call('STRLEN', key) > left then
      call('SET', key, left > 0 and call('GETRANGE', key, 0, left - 1) or '')
    end
  end
end
return 1
)lua";

// Cuts a string to ARGV[1] bytes. UNLINK is first: it is carried out where there is no memory left,
// and so is what follows it.
inline constexpr std::string_view kCutScript = R"lua(
local left = tonumber(ARGV[1])
if redis.call('STRLEN', KEYS[1]) > left then
  local bytes = left > 0 and redis.call('GETRANGE', KEYS[1], 0, left - 1) or ''
  redis.call('UNLINK', KEYS[1])
  redis.call('SET', KEYS[1], bytes)
end
return 1
)lua";

// A part of a string: nil where there is none, which GETRANGE alone does not tell from an empty
// one.
inline constexpr std::string_view kRangeScript = R"lua(
if redis.call('EXISTS', KEYS[1]) == 0 then return false end
return redis.call('GETRANGE', KEYS[1], ARGV[1], ARGV[2])
)lua";

// At most ARGV[2] items of the hash KEYS[1], in the order of the index KEYS[2], from ARGV[1] on:
// the items, and their values.
inline constexpr std::string_view kScanScript = R"lua(
local items = redis.call('ZRANGE', KEYS[2], ARGV[1], '+', 'BYLEX', 'LIMIT', 0, ARGV[2])
if #items == 0 then return {items, items} end
return {items, redis.call('HMGET', KEYS[1], unpack(items))}
)lua";

}  // namespace dpfs::kv::valkey
