// SPDX-License-Identifier: Apache-2.0
// What `dpfs kv` can be told to do.
#pragma once

namespace dpfs {

// argv[0] is the verb.
int kv_mkfs_main(int argc, char** argv);
int kv_info_main(int argc, char** argv);
int kv_set_main(int argc, char** argv);
int kv_fsck_main(int argc, char** argv);
int kv_gc_main(int argc, char** argv);
int kv_dump_main(int argc, char** argv);
int kv_export_main(int argc, char** argv);
int kv_import_main(int argc, char** argv);

}  // namespace dpfs
