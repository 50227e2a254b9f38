"""Who may read a file: whoever may read the one that it belongs to or replaces, and at no instant
anybody else.

What holds rows or secrets is made for its owner alone, and given to others once it is in order.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

_ACL = "system.posix_acl_access"
_OWN = 0o600


def like(path: Path, model: Path, least: int = 0) -> None:
    """Gives a file the owner, group, mode and attributes of another, or the mode of a new file
    where there is no other. Where group or access list cannot be given, the group gets no more than
    everybody. The owner has `least`."""
    try:
        known = model.stat()
    except OSError:
        path.chmod(0o666 & ~umask())
        return
    mode = stat.S_IMODE(known.st_mode)
    path.chmod(stat.S_IMODE(path.stat().st_mode) & mode | _OWN)
    kept = _given(path, known.st_uid, known.st_gid)
    if not (_attributed(path, model) and kept):
        mode = _without_group(mode)
    path.chmod(mode | least)


def beside(path: Path, model: Path) -> None:
    """Gives what belongs to a file, and is no copy of it, its owner and its mode. That of a file
    which is not there is what everybody's files have."""
    like(path, model, _OWN)
    path.chmod(stat.S_IMODE(path.stat().st_mode) & 0o666)


def narrow(path: Path, model: Path) -> None:
    """Takes from a file what the other does not grant."""
    with contextlib.suppress(OSError):  # it is not there, or is not ours
        known, mode = model.stat(), stat.S_IMODE(path.stat().st_mode)
        allowed = stat.S_IMODE(known.st_mode) | _OWN
        if not _given(path, known.st_uid, known.st_gid):
            allowed = _without_group(allowed)
        if mode & ~allowed:
            path.chmod(mode & allowed)


def folder(path: Path, model: Path) -> None:
    """Makes a folder for those who may read a file, if it is not there; it is theirs then."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
    try:
        known = model.stat()
    except OSError:
        mode = 0o666 & ~umask()
    else:
        mode = stat.S_IMODE(known.st_mode) & 0o666 | _OWN
        if not _given(path, known.st_uid, known.st_gid):
            mode = _without_group(mode)
    with contextlib.suppress(PermissionError):  # another's, who lets us write to it
        path.chmod(mode | (mode & 0o444) >> 2 | (mode & 0o222) >> 1)


def write(path: Path, data: bytes, model: Path) -> None:
    """Writes a file in one instant, for those who may read the other."""
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    partial.unlink(missing_ok=True)
    try:
        with os.fdopen(create(partial), "wb") as file:
            file.write(data)
        beside(partial, model)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def create(path: Path | str) -> int:
    """A new file that only its owner may read, open for writing. Raises FileExistsError."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWN)


def umask() -> int:
    """What new files are not granted. Linux tells; elsewhere it has to be set to be asked for."""
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("Umask:")).split()[1], 8)
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _without_group(mode: int) -> int:
    """The mode where a group gets no more than everybody."""
    return mode & (~0o070 | (mode & 0o007) << 3)


def _given(path: Path, owner: int, group: int) -> bool:
    """Gives a file away as far as one may; whether its group is as it should be."""
    own = path.stat()
    if own.st_uid != owner:
        with contextlib.suppress(OSError):  # only root may
            os.chown(path, owner, -1)
    if own.st_gid != group:
        with contextlib.suppress(OSError):
            os.chown(path, -1, group)
    return path.stat().st_gid == group


def _attributed(path: Path, model: Path) -> bool:
    """Copies extended attributes, access lists among them; whether the list is as it should be."""
    if not hasattr(os, "listxattr"):
        return True
    try:
        theirs, own = os.listxattr(model), os.listxattr(path)
    except OSError:
        return True  # a file system without them
    if _ACL in own and _ACL not in theirs:  # its folder's
        os.removexattr(path, _ACL)
    kept = True
    for name in theirs:
        try:
            os.setxattr(path, name, os.getxattr(model, name))
        except OSError:
            kept = kept and name != _ACL
    return kept
