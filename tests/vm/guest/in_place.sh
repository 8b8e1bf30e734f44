# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# The devices of several daemons that were started as virtiofsd is: each is mounted and worked on.
for tag in libvirt_old libvirt_new documented chroot none translated; do
  mount_share "$tag" "/mnt/$tag"
  cd "/mnt/$tag" || exit 1
  same "the host's file on $tag" "$(cat from_host)" "$tag"
  mkdir folder
  head -c 3000000 /dev/urandom >folder/data
  sha256sum folder/data >SHA256SUMS
  drop_caches
  sha256sum -c SHA256SUMS >/dev/null || die "$tag: other bytes than were written"
  mv folder/data folder/renamed
  mv folder/renamed folder/data
  ln -s from_host link
  same "what a link leads to on $tag" "$(cat link)" "$tag"
  chmod 0640 folder/data
  same "who owns a file of root on $tag" "$(stat -c '%u %g %a' folder/data)" "0 0 640"
  cd /
  umount "/mnt/$tag"
done
