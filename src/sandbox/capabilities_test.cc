// SPDX-License-Identifier: Apache-2.0
// Sets of capabilities, their names, and giving them up for good.
#include "sandbox/capabilities.h"

#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/prctl.h>

#include <stdexcept>

#include "sandbox/in_child.h"

namespace dpfs::sandbox {
namespace {

TEST(Capabilities, AreFoundByTheirNamesHoweverTheyAreWritten) {
  const Capabilities chown{CAP_CHOWN};
  EXPECT_EQ(Capabilities::named("chown"), chown);
  EXPECT_EQ(Capabilities::named("CHOWN"), chown);
  EXPECT_EQ(Capabilities::named("CAP_CHOWN"), chown);
  EXPECT_EQ(Capabilities::named("checkpoint_restore"), Capabilities{40});
  EXPECT_THROW(Capabilities::named("chowner"), std::invalid_argument);
  EXPECT_THROW(Capabilities::named(""), std::invalid_argument);
}

TEST(Capabilities, AreListedByTheirNames) {
  EXPECT_EQ((Capabilities{CAP_SETUID, CAP_CHOWN}).text(), "chown setuid");
  EXPECT_EQ(Capabilities().text(), "none");
}

TEST(Capabilities, ChangesAreMadeInTheirOrder) {
  const Capabilities set{CAP_CHOWN, CAP_FOWNER};
  EXPECT_EQ(changed_by(set, ""), set);
  EXPECT_EQ(changed_by(set, "+sys_admin:-chown"), (Capabilities{CAP_SYS_ADMIN, CAP_FOWNER}));
  EXPECT_EQ(changed_by(set, "-chown:+chown"), set);
}

TEST(Capabilities, ChangesThatAreNoneAreRefused) {
  for (const char* changes : {"chown", "+", "+nothing", ":", "+chown,-fowner", "+chown::"}) {
    EXPECT_THROW(changed_by({}, changes), std::invalid_argument) << changes;
  }
}

TEST(Capabilities, OnlyThoseToBeKeptAreLeftAndNoneComesBack) {
  const Capabilities before = Capabilities::of_this_thread();
  if (before.empty()) GTEST_SKIP() << "needs capabilities to give up";
  const Capabilities kept{CAP_CHOWN, CAP_SETUID};
  EXPECT_EQ(in_child([&] {
              keep_only(kept);
              if (Capabilities::of_this_thread() != (kept & before)) return 1;
              if (prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN, 0, 0, 0) != 0) return 2;
              keep_only({CAP_CHOWN, CAP_SYS_ADMIN});  // which cannot add any
              return Capabilities::of_this_thread() == (Capabilities{CAP_CHOWN} & before) ? 0 : 3;
            }),
            0);
}

}  // namespace
}  // namespace dpfs::sandbox
