# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Owners that are others on the host, attributes under other names, and a share that is read-only.
owner() { stat -c %u:%g "$1"; }

mount_share mapped /mnt/mapped
cd /mnt/mapped || exit 1
same "the owner of the directory" "$(owner .)" 0:0
# As a listing has it, too.
# shellcheck disable=SC2012
same "the owner of the host's file" "$(ls -ln | awk '/from_host/ { print $3 ":" $4 }')" 5:6
echo made >made
echo given >given
chown 7:8 given
same "the new owner" "$(owner given)" 7:8
chown 500 given 2>/dev/null && die "a file was given to a user who is forbidden"
same "the owner after that" "$(owner given)" 7:8
setfattr -n user.colour -v green made
same "the attribute" "$(getfattr -n user.colour made | grep user)" 'user.colour="green"'

mount_share fixed /mnt/fixed
cd /mnt/fixed || exit 1
same "the host's file" "$(cat from_host)" fixed
for command in 'echo x >from_host' 'echo x >>from_host' 'echo x >new' 'mkdir new' 'rm from_host' \
  'mv from_host new' 'chmod 600 from_host' 'ln -s x new' 'setfattr -n user.a -v b from_host'; do
  said=$(sh -c "$command" 2>&1) && die "a read-only share let this through: $command"
  case $said in
    *'Read-only file system'*) ;;
    *) die "$command: $said" ;;
  esac
done
same "the host's file after that" "$(cat from_host)" fixed
