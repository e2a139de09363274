"""A disk whose power a test can cut: a file system of its own, in a file that is mounted.

    with power_disk(tmp_path, "ext4") as disk:
        ... a server works in disk.folder ...
        disk.cut()
        ... the server has ended ...
        disk.restore()

The cut is the file systems' own: after the ioctl GOINGDOWN (linux/fs/xfs/libxfs/xfs_fs.h; ext4 takes
the same) nothing more reaches the disk, the journal's memory neither, and every call on the file
system fails. Mounting again shows what a machine finds that was switched off at that moment.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pathlib
import struct
import subprocess
from typing import Iterator, List

from harness.disk import NotAllowedHere

DISK_BYTES = 1 << 30
GOINGDOWN = 0x8004587D  # _IOR('X', 125, __u32)
NO_LOG_FLUSH = 2
MAKE = {"ext4": ["mkfs.ext4", "-q", "-F"], "xfs": ["mkfs.xfs", "-q", "-f"]}


def _run(command: List[str]) -> None:
    """Raises NotAllowedHere, with the words of the program, where it is missing or refused."""
    try:
        finished = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError as missing:
        raise NotAllowedHere(f"{missing.filename} is not installed") from missing
    if finished.returncode != 0:
        raise NotAllowedHere(f"{' '.join(command)}: {finished.stderr.strip()}")


class PowerDisk:
    """Made by power_disk()."""

    def __init__(self, image: pathlib.Path, folder: pathlib.Path):
        self._image = image
        self.folder = folder

    def mount(self) -> None:
        _run(["mount", "-o", "loop", str(self._image), str(self.folder)])

    def unmount(self) -> None:
        subprocess.run(["umount", str(self.folder)], check=True)

    def cut(self) -> None:
        """From now on nothing is written."""
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, GOINGDOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(descriptor)

    def restore(self) -> None:
        """The machine is on again. No file of the disk may be open."""
        self.unmount()
        self.mount()


@contextlib.contextmanager
def power_disk(folder: pathlib.Path, file_system: str) -> Iterator[PowerDisk]:
    """A new disk below `folder`; NotAllowedHere where the machine does not let us."""
    image, mount_point = folder / "image", folder / "disk"
    with open(image, "wb") as file:
        file.truncate(DISK_BYTES)
    mount_point.mkdir()
    _run([*MAKE[file_system], str(image)])
    disk = PowerDisk(image, mount_point)
    disk.mount()
    try:
        yield disk
    finally:
        disk.unmount()
