// SPDX-License-Identifier: Apache-2.0
// From the table of a share's options to those of a command line.
#include "daemon/share_options.h"

#include <CLI/CLI.hpp>
#include <string>
#include <string_view>

namespace dpfs {
namespace {

constexpr const char* kGroup = "Options of the share";
constexpr const char* kHidden = "";  // CLI11's way to say so
constexpr size_t kHelpColumns = 70;  // right of the options' words

// CLI11 indents lines, but does not break them.
std::string wrapped(std::string_view text) {
  std::string lines;
  while (text.size() > kHelpColumns) {
    const size_t blank = text.rfind(' ', kHelpColumns);
    if (blank == std::string_view::npos) break;
    lines.append(text.substr(0, blank)).append("\n");
    text.remove_prefix(blank + 1);
  }
  return lines.append(text);
}

void add_switch(CLI::App& app, ShareConfig& share, const ShareOption& option,
                std::vector<CLI::Option*>& added) {
  const bool is_on = share.*option.flag;
  for (const bool turns_on : {true, false}) {
    const std::string word = (turns_on ? "--" : "--no-") + std::string(option.name);
    const std::string help = wrapped(turns_on ? option.help : option.help_of_off);
    CLI::Option* each = app.add_flag_callback(
        word, [&share, flag = option.flag, turns_on] { share.*flag = turns_on; }, help);
    each->group(turns_on != is_on ? kGroup : kHidden);
    each->trigger_on_parse();  // of both, what is said last counts
    added.push_back(each);
  }
}

CLI::Option* add_valued(CLI::App& app, ShareConfig& share, const ShareOption& option) {
  const std::string word = "--" + std::string(option.name);
  const auto set = [&share, &option, word](const std::vector<std::string>& values) {
    try {
      if (option.set_all != nullptr) return option.set_all(share, values);
      option.set(share, values.back());
    } catch (const std::invalid_argument& error) {
      throw CLI::ValidationError(word, error.what());
    }
  };
  CLI::Option* added =
      app.add_option_function<std::vector<std::string>>(word, set, wrapped(option.help));
  added->type_name(std::string(option.value_name))->group(kGroup);
  added->allow_extra_args(false);  // one value behind each word: what follows is the URL's
  return added;
}

}  // namespace

std::vector<CLI::Option*> add_share_options(CLI::App& app, ShareConfig& share) {
  std::vector<CLI::Option*> added;
  for (const ShareOption& option : share_options()) {
    if (option.flag != nullptr) {
      add_switch(app, share, option, added);
    } else {
      added.push_back(add_valued(app, share, option));
    }
  }
  return added;
}

}  // namespace dpfs
