"""Who may read a file: exactly those who may read the file that it belongs to or replaces, at
every moment.

Files with rows or secrets are created for the owner only, and opened to others when complete.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

_ACL = "system.posix_acl_access"
_OWN = 0o600


def like(path: Path, model: Path, least: int = 0) -> None:
    """Gives a file the owner, group, mode and attributes of `model`, or the mode of a new file if
    `model` does not exist. If group or ACL cannot be set, the group gets no more than others.
    `least` is always granted."""
    try:
        stats = model.stat()
    except OSError:
        path.chmod(0o666 & ~umask())
        return
    mode = stat.S_IMODE(stats.st_mode)
    path.chmod(stat.S_IMODE(path.stat().st_mode) & mode | _OWN)
    owned = _change_owner(path, stats.st_uid, stats.st_gid)
    if not (_copy_attributes(path, model) and owned):
        mode = _without_group(mode)
    path.chmod(mode | least)


def beside(path: Path, model: Path) -> None:
    """Gives a companion file the owner and mode of its main file, without the execute bits. If the
    main file does not exist, the mode is that of any new file."""
    like(path, model, _OWN)
    path.chmod(stat.S_IMODE(path.stat().st_mode) & 0o666)


def narrow(path: Path, model: Path) -> None:
    """Removes permissions that the model does not grant."""
    with contextlib.suppress(OSError):  # it does not exist, or is not ours
        stats, mode = model.stat(), stat.S_IMODE(path.stat().st_mode)
        allowed = stat.S_IMODE(stats.st_mode) | _OWN
        if not _change_owner(path, stats.st_uid, stats.st_gid):
            allowed = _without_group(allowed)
        if mode & ~allowed:
            path.chmod(mode & allowed)


def folder(path: Path, model: Path) -> None:
    """Creates a folder, if missing, and opens it to those who may read the model file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
    try:
        stats = model.stat()
    except OSError:
        mode = 0o666 & ~umask()
    else:
        mode = stat.S_IMODE(stats.st_mode) & 0o666 | _OWN
        if not _change_owner(path, stats.st_uid, stats.st_gid):
            mode = _without_group(mode)
    with contextlib.suppress(PermissionError):  # owned by another user, but writable
        path.chmod(mode | (mode & 0o444) >> 2 | (mode & 0o222) >> 1)


def write(path: Path, data: bytes, model: Path) -> None:
    """Writes a file atomically, with the permissions of the model file."""
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
    """Descriptor of a new file, readable only by its owner. Raises FileExistsError."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWN)


def umask() -> int:
    """The process's umask. Linux reports it; elsewhere reading it requires setting it."""
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("Umask:")).split()[1], 8)
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _without_group(mode: int) -> int:
    """The mode with the group's permissions limited to those of others."""
    return mode & (~0o070 | (mode & 0o007) << 3)


def _change_owner(path: Path, owner: int, group: int) -> bool:
    """Changes owner and group as far as permitted; returns whether the group is right."""
    own = path.stat()
    if own.st_uid != owner:
        with contextlib.suppress(OSError):  # only root may
            os.chown(path, owner, -1)
    if own.st_gid != group:
        with contextlib.suppress(OSError):
            os.chown(path, -1, group)
    return path.stat().st_gid == group


def _copy_attributes(path: Path, model: Path) -> bool:
    """Copies extended attributes, ACLs included; returns whether the ACL is right."""
    if not hasattr(os, "listxattr"):
        return True
    try:
        expected, current = os.listxattr(model), os.listxattr(path)
    except OSError:
        return True  # a file system without them
    if _ACL in current and _ACL not in expected:  # inherited from its folder
        os.removexattr(path, _ACL)
    has_acl = True
    for name in expected:
        try:
            os.setxattr(path, name, os.getxattr(model, name))
        except OSError:
            has_acl = has_acl and name != _ACL
    return has_acl
