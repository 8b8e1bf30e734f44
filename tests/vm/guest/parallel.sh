# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Four processes at once: files in folders of their own and in a common one.
mkdir common
worker() {
  mkdir "worker$1"
  number=1
  while [ $number -le 100 ]; do
    echo "worker $1 file $number" >"common/$1-$number"
    number=$((number + 1))
  done
  cd "worker$1" || exit 1
  number=1
  while [ $number -le 40 ]; do
    head -c $((number * 997)) /dev/urandom >new
    mv new "file$number"
    sha256sum "file$number" >>SHA256SUMS
    number=$((number + 1))
  done
}
workers=
for number in 0 1 2 3; do
  worker $number &
  workers="$workers $!"
done
for process in $workers; do
  wait "$process" || die "a worker failed"
done
same "files in the common folder" "$(count common)" 400
