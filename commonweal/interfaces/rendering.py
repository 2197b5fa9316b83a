"""Pictures of a society: what the citizens see of the world, what they did, where the money went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from commonweal.errors import require
from commonweal.society import Society, Transition

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]
RENDER_MODES = ("human", "rgb_array")
MOST_LINES = 3
SIZE = (10.0, 3.4)
RESOLUTION = 80


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
        self._last: Transition | None = None
        self._seen: dict[str, list[float]] = {}
        self._look()

    def record(self, transition: Transition) -> None:
        """Take a step into the picture."""
        self._last = transition
        self._look()

    def _look(self) -> None:
        observed = self.society.dilemma.observe(self.society.state)
        for name, value in list(observed.items())[:MOST_LINES]:
            self._seen.setdefault(name, []).append(float(np.nanmean(value[0])))

    def frame(self) -> NDArray[np.uint8]:
        """The picture, `(H, W, 3)`."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        if self._figure is None:
            self._figure = Figure(SIZE, dpi=RESOLUTION, layout="constrained")
            FigureCanvasAgg(self._figure)
        self._draw()
        self._figure.canvas.draw()
        return np.array(self._figure.canvas.buffer_rgba())[..., :3]

    def show(self) -> None:
        """Update the window; without a display the picture is drawn to nowhere."""
        import matplotlib
        import matplotlib.pyplot as plt

        if self._figure is None:
            self._figure = plt.figure(figsize=SIZE, dpi=RESOLUTION, layout="constrained")
            self._window = True
        self._draw()
        self._figure.canvas.draw()
        if matplotlib.get_backend().lower() != "agg":
            self._figure.show()
            self._figure.canvas.flush_events()

    def close(self) -> None:
        """Close the window."""
        if self._window:
            import matplotlib.pyplot as plt

            plt.close(self._figure)
        self._figure, self._window = None, False

    def _draw(self) -> None:
        figure, memory = self._figure, self.society.memory
        figure.clear()
        world, conduct, money = figure.subplots(1, 3)
        layers = ", ".join(inst.address for inst in self.society.institutions) or "no institution"
        figure.suptitle(f"{self.society.dilemma.id} under {layers}: play {int(memory.plays[0])}", fontsize=10)
        self._draw_world(world)
        self._draw_conduct(conduct)
        self._draw_money(money)
        for axes in (world, conduct, money):
            axes.tick_params(labelsize=8)
            axes.spines[["top", "right"]].set_visible(False)

    def _draw_world(self, axes: Axes) -> None:
        for name, values in self._seen.items():
            axes.plot(values, label=name, marker="." if len(values) < 2 else None)
        axes.set_title("what citizens see (mean)", fontsize=9)
        axes.set_xlabel("step", fontsize=8)
        if self._seen:
            axes.legend(fontsize=7, frameon=False)

    def _draw_conduct(self, axes: Axes) -> None:
        """Bars of each agent's conduct; what was done to others is summed over them."""
        axes.set_title("conduct, by citizen", fontsize=9)
        axes.set_xlabel("citizen", fontsize=8)
        if self._last is None:
            return
        # Harm is the oracle's and income stands in the next panel.
        names = [n for n in self._last.conduct if n not in ("harm", "income")][:MOST_LINES]
        for place, name in enumerate(names):
            value = self._last.conduct[name][0]
            value = value.sum(axis=-1) if value.ndim == 2 else value
            width = 0.8 / len(names)
            axes.bar(np.arange(len(value)) + (place - (len(names) - 1) / 2) * width, value, width, label=name)
        if names:
            axes.legend(fontsize=7, frameon=False)

    def _draw_money(self, axes: Axes) -> None:
        """Bars of money earned and of payments received (above) or made (below); treasury and burnt."""
        axes.set_title("money in this step", fontsize=9)
        axes.axhline(0.0, color="0.6", linewidth=0.8)
        if self._last is None:
            return
        ledger, citizens = self._last.ledger, self._last.money.shape[1]
        agents = np.arange(ledger.net.shape[1])
        axes.bar(agents[:citizens] - 0.2, self._last.money[0], 0.4, label="earned")
        axes.bar(agents + 0.2, ledger.net[0], 0.4, label="received - paid")
        accounts = [("treasury", ledger.treasury[0]), ("burnt", ledger.burnt[0])]
        places = len(agents) + np.arange(len(accounts))
        axes.bar(places, [value for _, value in accounts], 0.4, color="0.4")
        axes.set_xticks([*agents, *places], [*map(str, agents), *(name for name, _ in accounts)])
        axes.tick_params(axis="x", rotation=45)
        axes.legend(fontsize=7, frameon=False)
