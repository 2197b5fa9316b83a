"""Pictures of a society: what the citizens see of the world, what they did, where the money went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from commonweal.errors import require
from commonweal.extras import extra
from commonweal.society import Society
from commonweal.transition import Transition

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]
RENDER_MODES = ("human", "rgb_array")
MOST_LINES = 3
MOST_TICKS = 12
SIZE = (11.0, 4.2)
RESOLUTION = 100
EARNED, SETTLED, COMMON = "#3b6ea8", "#d9822b", "#777777"


def check_render_mode(mode: str | None, allowed: tuple[str, ...] = RENDER_MODES) -> None:
    """Raise `InvalidParameter` unless `mode` is None or allowed."""
    require(mode is None or mode in allowed, "render_mode", mode, f"None, {', '.join(allowed)}")


class Renderer:
    """Draws world 0 of a society. Matplotlib is imported when the first picture is asked for."""

    def __init__(self, society: Society) -> None:
        self.society = society
        self._figure: Any = None
        self._window = False
        self.reset()

    def reset(self) -> None:
        """Forget the episode so far."""
        self._seen: dict[str, list[float]] = {}
        self._conduct: dict[str, Array] = {}
        self._money: Array | None = None
        self._net: Array | None = None
        self._flows: dict[str, float] = {}
        self._common = np.zeros(2)
        self._look()

    def record(self, transition: Transition) -> None:
        """Take a step into the picture; the stages after a play are added to it."""
        ledger, conduct = transition.ledger, {n: value[0] for n, value in transition.conduct.items()}
        if self._money is None or self.society.dilemma.conducts.keys() & conduct.keys():
            self._conduct, self._flows, self._common = {}, {}, np.zeros(2)
            self._money, self._net = (
                np.zeros_like(transition.money[0]),
                np.zeros_like(transition.ledger.net[0]),
            )
        ledger = transition.ledger
        self._conduct |= conduct
        self._money = self._money + transition.money[0]
        self._net = self._net + ledger.net[0]
        self._common = self._common + np.array([ledger.treasury[0], ledger.burnt[0]])
        for entry in ledger.entries:
            name = f"{entry.purpose}: {entry.payer} → {entry.payee}"
            self._flows[name] = self._flows.get(name, 0.0) + float(entry.amount[0].sum())
        self._look()

    def _look(self) -> None:
        observed = self.society.dilemma.observe(self.society.state)
        for name, value in list(observed.items())[:MOST_LINES]:
            self._seen.setdefault(name, []).append(float(np.nanmean(value[0])))

    def frame(self) -> NDArray[np.uint8]:
        """The picture, `(H, W, 3)`."""
        with extra():
            from matplotlib.backends.backend_agg import FigureCanvasAgg
            from matplotlib.figure import Figure

        if self._figure is None:
            self._figure = Figure(SIZE, dpi=RESOLUTION, layout="constrained")
            FigureCanvasAgg(self._figure)
        self._draw()
        self._figure.canvas.draw()
        return np.array(self._figure.canvas.buffer_rgba())[..., :3]

    def show(self) -> None:
        """Update the window; without a display the picture is drawn to nowhere.

        A window that its user has closed stays closed, and the run goes on.
        """
        with extra():
            import matplotlib.pyplot as plt

        if self._figure is None:
            self._figure = plt.figure(figsize=SIZE, dpi=RESOLUTION, layout="constrained")
            self._window = True
        if not plt.fignum_exists(self._figure.number):
            return
        self._draw()
        self._figure.canvas.draw()
        self._figure.show()
        self._figure.canvas.flush_events()

    def close(self) -> None:
        """Close the window."""
        if self._window:
            import matplotlib.pyplot as plt

            plt.close(self._figure)
        self._figure, self._window = None, False

    def __getstate__(self) -> dict[str, Any]:
        # A copy draws a picture of its own: canvas and window belong to this process and this object.
        return self.__dict__ | {"_figure": None, "_window": False}

    def _draw(self) -> None:
        figure, memory = self._figure, self.society.memory
        figure.clear()
        layers = ", ".join(inst.address for inst in self.society.institutions) or "no institution"
        title = f"{self.society.dilemma.id} under {layers}, play {int(memory.plays[0])}"
        figure.suptitle(title, fontsize=11, weight="bold")
        world, conduct, money = figure.subfigures(1, 3, width_ratios=(1.0, 0.9, 1.3))
        names = [n for n in self._conduct if n not in ("harm", "income")][:MOST_LINES]
        self._draw_world(self._panels(world, list(self._seen), "the world, as citizens see it"))
        self._draw_conduct(self._panels(conduct, names, "what each citizen did"), names)
        self._draw_money(self._panels(money, ["money"], "money of this round, by agent")[0])

    @staticmethod
    def _panels(part: Any, names: list[str], title: str) -> list[Axes]:
        """One panel for each name, below each other: units differ."""
        part.suptitle(title, fontsize=10)
        panels = list(np.ravel(part.subplots(max(len(names), 1), 1, sharex=True, squeeze=False)))
        for axes in panels:
            axes.tick_params(labelsize=8)
            axes.spines[["top", "right"]].set_visible(False)
        return panels

    def _unit(self, name: str) -> str:
        units = {signal.name: signal.unit for signal in self.society.dilemma.signals()}
        units |= {conduct: one.unit for conduct, one in self.society.charter.conducts.items()}
        name, unit = name.replace("_", " "), units.get(name, "")
        return f"{name} ({unit})" if unit else name

    def _draw_world(self, panels: list[Axes]) -> None:
        for axes, (name, values) in zip(panels, self._seen.items(), strict=False):
            axes.plot(values, color="black", linewidth=1.4, marker="." if len(values) < 12 else None)
            axes.set_title(f"{self._unit(name)}: {values[-1]:.4g}", fontsize=8, loc="left")
            low, high = min(0.0, *values), max(0.0, *values)
            axes.set_ylim(low - 0.05 * (high - low), high + 0.08 * (high - low) or 1.0)
        panels[-1].locator_params(axis="x", integer=True)
        panels[-1].set_xlabel("step", fontsize=8)

    def _draw_conduct(self, panels: list[Axes], names: list[str]) -> None:
        """Bars of each citizen; what was done to others is summed over them."""
        for axes, name in zip(panels, names, strict=False):
            value = self._conduct[name]
            value = value.sum(axis=-1) if value.ndim == 2 else value
            axes.bar(np.arange(len(value)), value, 0.6, color=EARNED)
            axes.set_ylim(min(0.0, 1.1 * value.min()), 1.1 * value.max() or 1.0)
            axes.set_title(self._unit(name), fontsize=8, loc="left")
            axes.set_xticks(np.arange(0, len(value), _stride(len(value))))
        panels[-1].set_xlabel("citizen", fontsize=8)

    def _draw_money(self, axes: Axes) -> None:
        """Money earned, payments received (above) or made (below), and where they went."""
        axes.axhline(0.0, color="0.6", linewidth=0.8)
        if self._money is None or self._net is None:
            return
        agents = np.arange(len(self._net))
        axes.bar(agents[: len(self._money)] - 0.2, self._money, 0.4, color=EARNED, label="earned")
        axes.bar(agents + 0.2, self._net, 0.4, color=SETTLED, label="received - paid")
        citizens, stride = len(self._money), _stride(len(self._money))
        places = len(agents) - 1 + stride * np.arange(1, 3)
        axes.bar(places, self._common, 0.4 * stride, color=COMMON)
        officials = [group for group, size in self.society.charter.officials.items() for _ in range(size)]
        numbers = agents[:citizens:stride]
        named = [*map(str, numbers), *officials, "treasury", "burnt"]
        axes.set_xticks([*numbers, *agents[citizens:], *places], named)
        for label in axes.get_xticklabels()[len(numbers) :]:
            label.set(rotation=30, ha="right", fontsize=7)
        axes.legend(fontsize=7, frameon=False, ncols=2, loc="lower left", bbox_to_anchor=(0.0, 1.0))
        paid = sorted(((v, k) for k, v in self._flows.items() if v), reverse=True)[: 2 * MOST_LINES]
        axes.set_xlabel("\n".join(f"{name} {value:.4g}" for value, name in paid) or "no payments", fontsize=8)


def _stride(agents: int) -> int:
    """Between two agents whose numbers are written, so that they do not run into each other."""
    return 1 + (agents - 1) // MOST_TICKS
