# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# I/O and metadata operations without an end, on two processors; says when it is under way.
fio --name=busy --directory="$PWD" --rw=randrw --bsrange=4k-256k --size=32M --ioengine=libaio \
  --iodepth=16 --direct=1 --numjobs=2 --time_based --runtime=300 --fallocate=none \
  >/tmp/fio.out 2>&1 &
(while :; do mkdir -p tree && echo x >tree/file && mv tree/file tree/other && rm -r tree; done) &
# Both jobs have a file and some of it written.
until [ -s busy.0.0 ] && [ -s busy.1.0 ]; do sleep 0.2; done
sleep 0.5
note busy
wait
