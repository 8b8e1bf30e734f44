#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Debian's own suites and everyday programs on a directory: each within a time limit, a table at the end.
set -u

here=$(cd "$(dirname "$0")" && pwd)
all_jobs="fio stress_ng dbench bonnie sqlite rocksdb git make tree"
# What a job may take; most take a tenth of it.
limit_s=${SUITES_LIMIT_S:-180}
skipped_status=77

usage() {
  cat <<END
usage: tests/suites/run.sh DIR [JOB...]

Runs programs that other people wrote on the file system of DIR, in a new directory below it that is
removed afterwards. Jobs (default: all): $all_jobs

  fio        random and sequential I/O by several engines, every block verified
  stress_ng  file system stressors of stress-ng, with --verify
  dbench     a file server's load of four clients
  bonnie     bonnie++, without its byte-by-byte part
  sqlite     two writers, rollback journal and WAL, then integrity_check
  rocksdb    db_bench fills, reads and overwrites; ldb checks
  git        clone of a repository, fsck, status, gc
  make       a parallel make of 2,000 files; a second one finds nothing to do
  tree       20,000 files: contents and stat as on a plain directory

SUITES_LIMIT_S: how many seconds a job may take (default 180). A job whose program is not installed is
skipped and named. Exit status: 0 all that ran passed, 1 something failed, 2 wrong usage.

  tests/suites/run.sh /mnt
  tests/suites/run.sh /mnt sqlite git
END
}

# need PROGRAM PACKAGE: ends this job where it is missing.
need() {
  command -v "$1" >/dev/null 2>&1 && return
  echo "SKIPPED: $1 is not installed (package $2; ./dev setup suites)"
  exit "$skipped_status"
}

fail() {
  echo "FAILED: $*"
  exit 1
}

job_fio() {
  need fio fio
  for options in "--ioengine=psync --rw=randwrite --bsrange=512-64k" \
    "--ioengine=libaio --iodepth=16 --direct=1 --rw=randwrite --bs=4k" \
    "--ioengine=mmap --rw=randwrite --bs=4k" "--ioengine=psync --rw=write --bs=1M"; do
    # shellcheck disable=SC2086 # a list of options
    fio --name=job --size=24M --numjobs=2 --verify=crc32c --do_verify=1 --verify_fatal=1 \
      --end_fsync=1 --fallocate=none --output-format=terse $options >fio.out 2>&1 ||
      { tail -n 20 fio.out; fail "fio $options"; }
    rm -f job.*
  done
}

job_stress_ng() {
  need stress-ng stress-ng
  # Those that are about files; leases and the like are the kernel's own affair.
  for stressor in access chdir chmod chown copy-file dentry dir dirdeep dirmany fallocate fcntl \
    file-ioctl filename flock fpunch fstat getdent hdd iomix link locka lockf lockofd mknod mmap \
    open readahead rename seek sendfile symlink sync-file touch unlink utime xattr; do
    stress-ng --help | grep -q -e "--$stressor N" || continue
    stress-ng "--$stressor" 2 --timeout 1s --verify --temp-path "$PWD" --hdd-bytes 16M \
      --iomix-bytes 16M --copy-file-bytes 128M --fallocate-bytes 32M --seek-size 16M \
      --mmap-bytes 16M --dirdeep-inodes 2000 --readahead-bytes 16M >stress.out 2>&1 ||
      { tail -n 12 stress.out; fail "stress-ng --$stressor"; }
  done
}

job_dbench() {
  need dbench dbench
  dbench -t 10 -D . 4 >dbench.out 2>&1 || { tail -n 12 dbench.out; fail "dbench"; }
  tail -n 1 dbench.out
}

job_bonnie() {
  need bonnie++ bonnie++
  bonnie++ -f -d . -s 128M -r 64M -n 4:20000:100:4 -u "$(id -u):$(id -g)" -q >bonnie.out 2>&1 ||
    { tail -n 12 bonnie.out; fail "bonnie++"; }
}

job_sqlite() {
  need sqlite3 sqlite3
  for journal in delete wal; do
    sqlite3 "$journal.db" "pragma journal_mode=$journal;
      create table t(id integer primary key, who text, body blob);" >/dev/null
    for who in one two; do
      {
        echo ".timeout 60000"
        number=0
        while [ $number -lt 300 ]; do
          echo "begin immediate; insert into t(who, body) values('$who', randomblob(2000)); commit;"
          number=$((number + 1))
        done
      } | sqlite3 "$journal.db" &
    done
    wait
    [ "$(sqlite3 "$journal.db" 'select count(*) from t')" = 600 ] || fail "$journal: rows are lost"
    [ "$(sqlite3 "$journal.db" 'pragma integrity_check')" = ok ] || fail "$journal: integrity_check"
  done
}

job_rocksdb() {
  need db_bench rocksdb-tools
  need ldb rocksdb-tools
  db_bench --db="$PWD/db" --benchmarks=fillseq,fillrandom,readrandom,overwrite,compact,readseq \
    --num=60000 --threads=2 --sync=0 --verify_checksum=1 >bench.out 2>&1 ||
    { tail -n 12 bench.out; fail "db_bench"; }
  ldb --db="$PWD/db" checkconsistency >check.out 2>&1 || { cat check.out; fail "ldb"; }
  grep -q OK check.out || { cat check.out; fail "ldb does not say OK"; }
}

# A repository to clone: the one that this script lies in, else one made for the purpose.
source_repository() {
  if git -C "$here" rev-parse --git-dir >/dev/null 2>&1; then
    git -C "$here" rev-parse --show-toplevel
    return
  fi
  mkdir origin
  (
    cd origin || exit 1
    git init -q .
    number=0
    while [ $number -lt 300 ]; do
      mkdir -p "$((number / 20))"
      seq 1 $number >"$((number / 20))/$number"
      number=$((number + 1))
    done
    git add . && git -c user.name=suite -c user.email=suite@localhost commit -q -m first
  ) || exit 1
  echo "$PWD/origin"
}

job_git() {
  need git git
  source=$(source_repository)
  git clone -q --no-local "$source" clone || fail "clone"
  cd clone || exit 1
  git fsck --full --strict >../fsck.out 2>&1 || { cat ../fsck.out; fail "fsck"; }
  [ -z "$(git status --porcelain)" ] || fail "the clone is not clean"
  git gc -q --prune=now || fail "gc"
  git fsck --full >/dev/null 2>&1 || fail "fsck after gc"
}

job_make() {
  need make make
  number=0
  while [ $number -lt 2000 ]; do
    [ $((number % 100)) -ne 0 ] || mkdir "$((number / 100))"
    echo "int f$number;" >"$((number / 100))/$number.c"
    number=$((number + 1))
  done
  cat >Makefile <<'END'
.RECIPEPREFIX = :
OBJECTS := $(patsubst %.c,%.o,$(wildcard */*.c))
all: sum
sum: $(OBJECTS)
: cat $^ >$@
%.o: %.c
: cp $< $@
END
  make -s -j4 || fail "make"
  make -q || fail "make finds something to do in what it has just made"
  [ "$(wc -l <sum)" = 2000 ] || fail "lines are missing"
  touch 7/700.c
  [ "$(make -n | grep -c '^cp')" = 1 ] || fail "make does not see one changed file"
}

job_tree() {
  need python3 python3
  plain=$(mktemp -d)
  python3 "$here/tree.py" "$plain" >plain.txt && python3 "$here/tree.py" "$PWD/tree" >tested.txt
  status=$?
  rm -rf "$plain"
  [ $status = 0 ] || fail "the tree could not be made"
  cmp plain.txt tested.txt || fail "$(diff plain.txt tested.txt | head -n 6)"
  wc -l <tested.txt
  rm -r tree || fail "rm -r"
}

# run_job NAME DIRECTORY: in a process of its own, so that it can be ended.
run_job() {
  mkdir "$2/$1" && cd "$2/$1" || exit 1
  "job_$1"
}

main() {
  case ${1:-} in
    -h | --help)
      usage
      exit 0
      ;;
    '')
      usage >&2
      exit 2
      ;;
  esac
  directory=$(mktemp -d "$1/suites.XXXXXX") || exit 2
  directory=$(cd "$directory" && pwd)
  # bonnie++ refuses what others may not enter.
  chmod 755 "$directory"
  trap 'rm -rf "$directory"' EXIT
  shift
  jobs=${*:-$all_jobs}
  failed=0
  table=""
  for job in $jobs; do
    case " $all_jobs " in
      *" $job "*) ;;
      *)
        echo "there is no job '$job'; the jobs are: $all_jobs" >&2
        exit 2
        ;;
    esac
    begin=$(date +%s)
    output=$(timeout -k 5 "$limit_s" sh "$here/run.sh" --job "$job" "$directory" 2>&1)
    status=$?
    took=$(($(date +%s) - begin))
    case $status in
      0) result=passed ;;
      "$skipped_status") result=SKIPPED ;;
      124 | 137)
        result="FAILED"
        output="not done after $limit_s s"
        failed=1
        ;;
      *)
        result="FAILED"
        failed=1
        ;;
    esac
    [ "$status" = 0 ] || echo "--- $job: $result
$output"
    note=$(printf '%s\n' "$output" | grep -E '^(FAILED|SKIPPED): ' | head -n 1)
    table="$table$(printf '%-10s %-8s %5d s  %s' "$job" "$result" "$took" "${note#*: }")
"
    rm -rf "${directory:?}/$job"
  done
  printf '\n%s' "$table"
  exit "$failed"
}

if [ "${1:-}" = --job ]; then
  run_job "$2" "$3"
else
  main "$@"
fi
