// SPDX-License-Identifier: Apache-2.0
// Which rule applies to which request.
#include "responder/script.h"

namespace dpfs::responder {

std::optional<Script::Rule> Script::take(Action action, std::optional<nfs::Operation> operation) {
  for (Rule& rule : rules_) {
    if (rule.action != action || rule.when.operation != operation) continue;
    if (rule.applied >= rule.when.times && rule.when.times != kAlways) continue;
    const uint32_t number = rule.seen++;
    if (number < rule.when.skip) continue;
    if ((number - rule.when.skip + 1) % rule.when.every != 0) continue;
    ++rule.applied;
    return rule;
  }
  return std::nullopt;
}

}  // namespace dpfs::responder
