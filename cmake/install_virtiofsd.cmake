# SPDX-License-Identifier: Apache-2.0
# Run by 'cmake --install': dpfs in place of virtiofsd. A link, and the description by which libvirt
# finds it (docs/interop/vhost-user.rst of QEMU). Wants SOURCE, BINDIR, LIBEXECDIR and DATADIR, the
# latter three below the prefix.
set(DPFS_VIRTIOFSD "${CMAKE_INSTALL_PREFIX}/${LIBEXECDIR}/dpfs-virtiofsd")
file(RELATIVE_PATH program "${CMAKE_INSTALL_PREFIX}/${LIBEXECDIR}"
  "${CMAKE_INSTALL_PREFIX}/${BINDIR}/dpfs")
set(link "$ENV{DESTDIR}${DPFS_VIRTIOFSD}")
message(STATUS "Installing: ${link}")
file(MAKE_DIRECTORY "$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}/${LIBEXECDIR}")
file(CREATE_LINK "${program}" "${link}" SYMBOLIC)
set(description
  "$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}/${DATADIR}/qemu/vhost-user/50-dpfs-virtiofsd.json")
message(STATUS "Installing: ${description}")
configure_file("${SOURCE}/packaging/50-dpfs-virtiofsd.json.in" "${description}" @ONLY)
