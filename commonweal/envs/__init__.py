"""Dilemmas, by class and as PettingZoo modules.

Both are generated from the registry: `from commonweal.envs import Fishery` is the dilemma itself;
`from commonweal.envs import fishery_v0` is a module in PettingZoo's own form, with `parallel_env`,
`env` and `raw_env`.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

from commonweal.registry import DILEMMAS

_CLASSES = {place.partition(":")[2]: place.partition(":")[0] for place in DILEMMAS.values()}


def _pettingzoo_module(dilemma: str) -> ModuleType:
    """`commonweal.envs.fishery_v0` and its like; nothing heavy is imported before an env is made."""
    module = ModuleType(f"{__name__}.{dilemma.replace('-v', '_v')}", f"`{dilemma}` in PettingZoo's form.")

    def parallel_env(**options: Any) -> Any:
        """Parallel environment; takes what `commonweal.parallel_env` takes."""
        return import_module("commonweal.interfaces.pettingzoo").parallel_env(dilemma, **options)

    def env(**options: Any) -> Any:
        """Environment in turns; takes what `commonweal.parallel_env` takes."""
        return import_module("commonweal.interfaces.pettingzoo").aec_env(dilemma, **options)

    for name, function in (("parallel_env", parallel_env), ("env", env), ("raw_env", env)):
        setattr(module, name, function)
    return module


for _dilemma in DILEMMAS:
    _module = _pettingzoo_module(_dilemma)
    sys.modules[_module.__name__] = _module
    globals()[_module.__name__.rpartition(".")[2]] = _module


def register() -> None:
    """Enter every dilemma in PettingZoo's and Gymnasium's registries; `import commonweal` calls it.

    `pettingzoo.make("parallel", "commonweal/fishery-v0")` takes what `commonweal.parallel_env` takes,
    `gymnasium.make("commonweal/fishery-v0", policies=...)` what `commonweal.gym_env` takes.
    """
    import gymnasium
    from pettingzoo.env_registry import registration

    for dilemma in DILEMMAS:
        if f"commonweal/{dilemma}" not in gymnasium.registry:
            gymnasium.register(
                f"commonweal/{dilemma}",
                "commonweal.interfaces.gymnasium:gym_env",
                kwargs={"dilemma": dilemma},
            )
        module = f"{__name__}.{dilemma.replace('-v', '_v')}"
        for kind, table, function in (
            ("parallel", registration.parallel_registry, "parallel_env"),
            ("aec", registration.aec_registry, "env"),
        ):
            if f"commonweal/{dilemma}" not in table:
                registration.register(kind, f"commonweal/{dilemma}", f"{module}:{function}")


def __getattr__(name: str) -> Any:
    if name in _CLASSES:
        return getattr(import_module(_CLASSES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_CLASSES})
