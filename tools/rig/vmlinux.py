# SPDX-License-Identifier: Apache-2.0
"""Takes the uncompressed kernel out of a bzImage, for PVH: unpacking is slow when emulated."""
import gzip
import lzma
import struct
import subprocess


def extract(image, zstd_command):
    """The ELF file inside of `image`. `zstd_command` decompresses zstd from standard input."""
    setup_sectors = image[0x1F1] or 4
    # The setup header's payload_offset and payload_length, counted from the protected-mode code on.
    payload_offset, payload_length = struct.unpack_from("<II", image, 0x248)
    begin = (setup_sectors + 1) * 512 + payload_offset
    # The kernel's build appends the unpacked size in four bytes.
    payload = image[begin:begin + payload_length - 4]
    if payload.startswith(b"\x28\xb5\x2f\xfd"):
        unpacked = subprocess.run(zstd_command, input=payload, stdout=subprocess.PIPE, check=True)
        kernel = unpacked.stdout
    elif payload.startswith(b"\xfd7zXZ\0"):
        kernel = lzma.decompress(payload)
    elif payload.startswith(b"\x1f\x8b"):
        kernel = gzip.decompress(image[begin:begin + payload_length])
    else:
        raise ValueError(f"kernel image with an unknown compression ({payload[:6].hex()})")
    if not kernel.startswith(b"\x7fELF"):
        raise ValueError("kernel image without an ELF file in it")
    return kernel
