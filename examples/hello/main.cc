// SPDX-License-Identifier: Apache-2.0
// dpfs with one more back end: example_hello serve --socket S --tag T hello:world
#include "daemon/program.h"
#include "examples/hello/hello_fs.h"

int main(int argc, char** argv) {
  dpfs::Backends backends = dpfs::Backends::built_in();
  backends.add("hello", "hello:NAME                   one file that greets NAME",
               [](dpfs::Reactor&, dpfs::Url& url, const dpfs::ShareConfig&) {
                 return std::make_unique<dpfs::examples::HelloFs>("Hello, " + url.path() + "!\n");
               });
  return dpfs::program_main(argc, argv, backends);
}
