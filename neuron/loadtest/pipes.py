"""Queries and answers between processes: records of one size through two pipes.

A pipe is a queue that several workers can read from: each read takes whole records, at most as many as a batch has room
for, and waits only while there are none. That is greedy batching in one system call. The size of a request divides a
page, so that no read ends within a record, however large the write was.
"""

import contextlib
import fcntl
import os

import numpy as np

REQUEST = np.dtype([("query", "u8"), ("came", "u8"), ("text", "u8"), ("unused", "u8")])
ANSWER = np.dtype([("query", "u8"), ("came", "u8")])
CAPACITY = 1 << 20  # bytes; 32,768 requests


def pipe() -> tuple[int, int]:
    """Return the two ends of a pipe, large where the system allows it."""
    read, write = os.pipe()
    with contextlib.suppress(OSError):  # a smaller pipe makes the generator wait a little earlier under overload
        fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, CAPACITY)
    return read, write


def own(descriptor: int) -> int:
    """Return a descriptor of the same pipe that never waits, without changing the one that others share."""
    return os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_NONBLOCK)


def read(descriptor: int, kind: np.dtype, count: int) -> np.ndarray | None:
    """Return up to `count` records; None where there are none now, an empty array where none will ever come."""
    try:
        return np.frombuffer(os.read(descriptor, count * kind.itemsize), kind)
    except BlockingIOError:
        return None


def write(descriptor: int, records: np.ndarray) -> None:
    """Write all records; wait while the pipe is full."""
    left = memoryview(records.tobytes())
    while left:
        left = left[os.write(descriptor, left) :]
