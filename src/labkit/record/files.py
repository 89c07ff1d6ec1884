"""The two ways a record reaches the disk: a whole file under a new name, or whole lines at the end of one.

Nothing else in labkit writes to a run folder.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from labkit.errors import LabkitError, MachineError, RecordError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_BLOCK_BYTES = 1 << 16
_LOCKLESS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}

# macOS has no fdatasync; Linux saves the inode's times a trip with it.
_sync_data = os.fsync if sys.platform == "darwin" else os.fdatasync


def write_atomically(path: Path, data: bytes, *, sync: bool = True, executable: bool = False) -> None:
    """Replace `path` so that a reader, or a crash, sees the old content or the new and never a part.

    Args:
        sync: wait until it is on the disk; without, a power cut may cost it
        executable: whoever may read it may run it

    Raises:
        MachineError: the disk is full. RecordError: the folder may not be written.
    """
    # The process id keeps two processes that replace one file from writing into the same temporary name.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
            if executable:
                mode = os.fstat(descriptor).st_mode & 0o777
                os.fchmod(descriptor, mode | (mode & 0o444) >> 2)
            if sync:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)
        if sync:
            sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise disk_error(error, path) from None


def write_json_atomically(path: Path, value: Any) -> None:
    """`write_atomically` for a JSON value; NaN is refused, because JSON has none."""
    text = json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False)
    write_atomically(path, text.encode(errors="replace") + b"\n")


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_files(folder: Path) -> None:
    """Make everything in a folder durable that another library wrote there."""
    for path in folder.rglob("*"):
        if path.is_file():
            sync_file(path)
    sync_folder(folder)


def sync_file(path: Path) -> None:
    """Make a file's content durable."""
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


class LineFile:
    """A file that grows by whole lines, with one `write` and one data sync for each batch of them."""

    def __init__(self, path: Path, *, exclusive: bool = False) -> None:
        """Open for appending; a torn last line that a crash left is cut. `exclusive` refuses an existing file."""
        self.path = path
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | (os.O_EXCL if exclusive else 0)
        try:
            self._descriptor = os.open(path, flags, 0o666)
            if not exclusive:
                _cut_torn_line(self._descriptor)
            sync_folder(path.parent)
        except OSError as error:
            raise disk_error(error, path) from None

    def append(self, lines: bytes, *, sync: bool = True) -> None:
        """Append bytes that end in a newline.

        Raises:
            MachineError: the disk is full; whole lines of the batch stay, and a torn one is cut.
        """
        try:
            view = memoryview(lines)
            while view:
                view = view[os.write(self._descriptor, view) :]
            if sync:
                _sync_data(self._descriptor)
        except OSError as error:
            # Cut here too: a later append would else grow the torn line into a damaged one.
            with suppress(OSError):
                _cut_torn_line(self._descriptor)
            raise disk_error(error, self.path) from None

    def close(self) -> None:
        """Close the file; calling it twice does no harm."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def json_line(value: Any) -> bytes:
    """One JSON value as one line. A lone surrogate has no UTF-8 form; a question mark stands for it."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode(errors="replace") + b"\n"


def read_lines(path: Path) -> tuple[bytes, int]:
    """The whole lines of a file, and how many bytes of a torn last line were left out."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return b"", 0
    end = data.rfind(b"\n") + 1
    return data[:end], len(data) - end


def iterate_json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a JSONL file, without a torn last line.

    Raises:
        RecordError: a line in the middle is not a JSON object; names the file and the line.
    """
    for number, line in enumerate(read_lines(path)[0].splitlines(), start=1):
        try:
            value = json.loads(line)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise RecordError(f"{path}, line {number} is damaged", "restore the line from a copy, or remove it by hand")
        yield value


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file.

    Raises:
        RecordError: the file is missing, unreadable, or holds no JSON object.
    """
    try:
        value = json.loads(path.read_bytes())
    except OSError as error:
        raise RecordError(f"cannot read {path}: {error.strerror}", "is this folder a run?") from None
    except ValueError as error:
        hint = "restore it from a copy; the rows beside it are intact"
        raise RecordError(f"{path} is damaged: {error}", hint) from None
    if not isinstance(value, dict):
        raise RecordError(f"{path} is damaged: it holds no JSON object", "restore it from a copy")
    return value


@contextmanager
def exclusive_lock(path: Path, content: dict[str, Any]) -> Iterator[None]:
    """Hold `flock` on a file for the life of the block, with `content` inside for people.

    Raises:
        RecordError: another process holds it; says which.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise disk_error(error, path) from None
    try:
        try:
            _take(descriptor)
        except BlockingIOError:
            holder = _holder_text(path)
            raise RecordError(
                f"another process is working on {path.parent}: {holder}", "wait for it, or stop it, and try again"
            ) from None
        except OSError as error:
            raise disk_error(error, path) from None
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json_line(content), 0)
        except OSError as error:
            raise disk_error(error, path) from None
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int) -> None:
    # `is_locked` holds a shared lock for some microseconds: who only looks must not turn away who wants to work.
    for _ in range(1000):
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)  # refused as well where somebody works
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            time.sleep(0.001)
    raise BlockingIOError


def _holder_text(path: Path) -> str:
    """Who holds a lock, from what it wrote there; a lock just taken may be empty still."""
    try:
        holder = json.loads(path.read_text(errors="replace"))
        return f"process {holder['pid']} on {holder.get('host', 'this machine')}, since {holder['start']}"
    except (ValueError, KeyError, TypeError):
        return "it has just begun"


def is_locked(path: Path) -> bool:
    """Whether some process holds the lock. Does not wait and leaves nothing behind."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def disk_error(error: OSError, path: Path) -> LabkitError:
    """What an `OSError` of the record means to the user."""
    if error.errno in _FULL:
        hint = "free some space; what was written stays, and --resume goes on"
        return MachineError(f"no room to write {path}: {error.strerror}", hint)
    if error.errno in _LOCKLESS:
        hint = "choose another folder with --runs-dir; two processes could else write into one run"
        return MachineError(f"this storage has no locks: {path}: {error.strerror}", hint)
    if error.errno in _FORBIDDEN:
        return RecordError(f"cannot write {path}: {error.strerror}", "choose another folder with --runs-dir")
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EEXIST):
        return RecordError(f"cannot write {path}: {error.strerror}", "check the path")
    return MachineError(f"cannot write {path}: {error.strerror}", "check the disk; --resume goes on where it stopped")


def _cut_torn_line(descriptor: int) -> None:
    end = size = os.fstat(descriptor).st_size
    # Backwards in blocks: one read gives no more than 2 GiB, and the last newline of a larger file lies beyond.
    while end:
        start = max(0, end - _BLOCK_BYTES)
        block = os.pread(descriptor, end - start, start)
        end = start + block.rfind(b"\n") + 1
        if end > start:
            break
    if end < size:
        os.ftruncate(descriptor, end)
