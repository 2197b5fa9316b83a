"""Commonweal: which institution turns self-interested learning agents towards group welfare?

Names are imported when they are first used, so that `import commonweal` stays fast.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from commonweal.envs import register

if TYPE_CHECKING:
    from commonweal import agents, benchmarks, envs, institutions, interfaces
    from commonweal.evaluation import evaluate
    from commonweal.interfaces.gymnasium import gym_env
    from commonweal.interfaces.pettingzoo import aec_env, parallel_env
    from commonweal.interfaces.stable_baselines3 import vec_env
    from commonweal.registry import institution, make
    from commonweal.society import Society
    from commonweal.transition import Transition

__version__ = "0.1.0"
__all__ = [
    "Society",
    "Transition",
    "aec_env",
    "agents",
    "benchmarks",
    "envs",
    "evaluate",
    "gym_env",
    "institution",
    "institutions",
    "interfaces",
    "make",
    "parallel_env",
    "vec_env",
]

_HOMES = {
    "Society": "commonweal.society",
    "Transition": "commonweal.transition",
    "aec_env": "commonweal.interfaces.pettingzoo",
    "evaluate": "commonweal.evaluation",
    "gym_env": "commonweal.interfaces.gymnasium",
    "institution": "commonweal.registry",
    "make": "commonweal.registry",
    "parallel_env": "commonweal.interfaces.pettingzoo",
    "vec_env": "commonweal.interfaces.stable_baselines3",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name in __all__:
        return import_module(f"commonweal.{name}")
    raise AttributeError(f"module 'commonweal' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _is_command_line() -> bool:
    program = sys.argv[0] if sys.argv else ""
    return (program == "-m" and "commonweal" in sys.orig_argv) or Path(program).stem == "commonweal"


if not _is_command_line():  # which registers where it can hear Ctrl-C, as Gymnasium takes long to import
    register()
