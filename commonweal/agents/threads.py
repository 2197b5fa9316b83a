"""The threads of this process, and none of the process that it was forked from."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import torch


@cache
def pool() -> ThreadPoolExecutor:
    """Threads for compiled arithmetic, started when they are first needed."""
    return ThreadPoolExecutor(thread_name_prefix="kernel")


def _forget() -> None:
    """A forked process has one thread: pools of its parent, ours and OpenMP's, would wait for the others."""
    pool.cache_clear()
    torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
