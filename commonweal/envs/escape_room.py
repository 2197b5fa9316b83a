r"""`escape_room-v0`: the Escape Room ER(N, M), where somebody has to stay at the lever.

N agents stand at the start of a room with a lever and a door. In every step each chooses where to be;
the door is open in that step if at least M chose the lever, and who chose the door then leaves with
$r_i$ (10). Any other change of place costs $c_i$ (1), staying costs nothing:

$$u_i = \begin{cases} r_i & \text{door, and } \lvert\{j : \text{lever}\}\rvert \ge M \\
-c_i & \text{another place than before} \\ 0 & \text{else.} \end{cases}$$

The room is left, and the episode over, as soon as anyone gets out; at the latest after five steps. All
act at once and see how many steps are over, their own place and how many others are at each.

**What the group could get.** Only one step pays, and whoever pulls in it stays behind: M pull and N - M
leave at once, $\sum r - \sum c$ with those pulling who would gain and pay least to leave: $10 (N - M) - M$,
that is 9 in ER(2, 1) and 8 in ER(3, 2).

**Why nobody pulls.** Each can have 0 by standing still. In any equilibrium in pure strategies in which
somebody gets out, those at the lever have paid for getting there and are paid nothing; each of them would
rather have stayed. So in every pure equilibrium nobody moves, and W is 0; no mixed one is worse. The worst
and only pure line is played by the rule "stay", an equilibrium by dynamic programming over one agent's
place (`epsilon`), and by backward induction over all places an outcome of subgame-perfect play as well
(`perfect_values`, for small rooms).

No `harm` is defined: what a place costs the others hangs on who goes to the lever after. Nothing can be
limited: a place is no quantity. Incentives between agents, the subject of the source, are institutions.

Source: Yang, Li, Farajtabar, Sunehag, Hughes and Zha (2020), "Learning to incentivize other learning
agents", NeurIPS 33, arXiv 2006.06051; rules read in the published code (`lio/env/room_symmetric.py`),
where the door follows the places chosen in the same step and standing at the open door pays too.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from commonweal.envs.base import Dilemma, Outcome, Play
from commonweal.envs.normal_form import pure_equilibria
from commonweal.errors import NotExact
from commonweal.parameters import Parameter, check
from commonweal.random import Streams
from commonweal.references import Check, References, Yardstick
from commonweal.spaces import Action, Choice, Conduct, Signal

Array = NDArray[np.float64]
START, LEVER, DOOR = range(3)
LARGEST_ROOM = 5  # agents, whose 3^N places are looked at one by one in backward induction


@dataclass
class RoomState:
    """Steps taken `(B, 1)`, and where each agent is `(B, N)`: start, lever or door."""

    step: Array
    place: Array


@dataclass(frozen=True, eq=False, repr=False)
class EscapeRoom(Dilemma):
    """The Escape Room ER(N, M).

    Attributes:
        num_agents: N.
        pullers: M, how many at the lever open the door.
        prize: r, money of who gets out.
        cost: c, money of changing one's place.
        steps: steps after which the episode ends at the latest.
        discount: weight of the next step.
    """

    id: ClassVar[str] = "escape_room-v0"
    conducts: ClassVar[Mapping[str, Conduct]] = {
        "pulling": Conduct("times"),
        "escape": Conduct("times"),
        "income": Conduct("money"),
    }
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "er_2_1": {"num_agents": 2, "pullers": 1},
        "er_3_2": {"num_agents": 3, "pullers": 2},
    }

    num_agents: int = 3
    pullers: int = 2
    prize: Parameter = 10.0
    cost: Parameter = 1.0
    steps: int = 5
    discount: float = 1.0

    def validate(self) -> None:
        """Check the ranges."""
        check("EscapeRoom.num_agents", self.num_agents, 1, math.inf)
        check("EscapeRoom.pullers", self.pullers, 1, self.num_agents)
        check("EscapeRoom.steps", self.steps, 1, math.inf)
        for name in ("prize", "cost"):
            check(f"EscapeRoom.{name}", getattr(self, name), 0.0, math.inf, open_low=True)
        check("EscapeRoom.discount", self.discount, 0.0, 1.0)

    @property
    def horizon(self) -> int:
        """The last step ends the episode."""
        return self.steps

    def actions(self) -> list[Action]:
        """Where to be; the null act is the start, where all begin."""
        return [Action("place", Choice(("start", "lever", "door")))]

    def signals(self) -> list[Signal]:
        """Steps taken, the own place, and the numbers of others at each place."""
        return [
            Signal("progress", "share of steps", 0.0, 1.0, public=True),
            Signal("own_place", "start, lever, door", 0.0, 1.0, width=3),
            Signal("others", "agents at start, lever, door", 0.0, float(self.num_agents - 1), width=3),
        ]

    def initial(self, rng: Streams) -> RoomState:
        """All at the start."""
        return RoomState(np.zeros((rng.num_worlds, 1)), np.zeros((rng.num_worlds, self.num_agents)))

    def step(self, state: RoomState, play: Play, rng: Streams) -> tuple[RoomState, Outcome]:
        """All go where they chose."""
        place = play["place"]
        following = RoomState(state.step + 1.0, np.array(place))
        payoff, out = self.payoff(state.place, place)
        conduct = {"pulling": (place == LEVER).astype(np.float64), "escape": out, "income": payoff}
        over = out.any(axis=1) | (following.step[:, 0] >= self.steps)
        return following, Outcome(payoff, conduct, over)

    def payoff(self, before: Array, place: Array) -> tuple[Array, Array]:
        """Money `(B, N)`, and who gets out `(B, N)`, when all go from `before` to `place`, `(B, N)`."""
        is_open = (place == LEVER).sum(axis=1, keepdims=True) >= self.pullers
        out = is_open & (place == DOOR)
        return np.where(out, self.prize, -self.cost * (place != before)), out.astype(np.float64)

    def observe(self, state: RoomState) -> Mapping[str, Array]:
        """All see all places."""
        own = (state.place[:, :, None] == np.arange(3.0)).astype(np.float64)
        return {
            "progress": state.step / self.steps,
            "own_place": own,
            "others": own.sum(axis=1, keepdims=True) - own,
        }

    # ------------------------------------------------------------------ references

    def _numbers(self) -> tuple[Array, Array]:
        """Prizes and costs `(N,)` of one world; raises `NotExact`."""
        shape = (1, self.num_agents)
        for name in ("prize", "cost"):
            value = np.atleast_2d(getattr(self, name))
            if np.broadcast_shapes(value.shape, shape) != shape:
                raise NotExact(f"EscapeRoom.{name} has shape {value.shape}; allowed: one world")
        r, c = (np.array(np.broadcast_to(x, shape)[0], np.float64) for x in (self.prize, self.cost))
        return r, c

    def references(self) -> References:
        """Nobody moves: the only outcome of pure equilibria, and none is worse; the planner escapes at once.

        Raises:
            NotExact: a parameter differs by world.
        """
        r, c = self._numbers()
        idle, escape = np.full(self.num_agents, START), np.full(self.num_agents, DOOR)
        escape[np.argsort(r + c, kind="stable")[: self.pullers]] = LEVER
        plan = float(np.where(escape == DOOR, r, -c).sum())
        gain = max(self._gain(agent) for agent in range(self.num_agents))
        selection = "nobody moves, as in every pure equilibrium; no equilibrium is worse"
        selfish = Yardstick(0.0, "closed form", 0.0, gain, selection, Stand(idle), {"escapes": 0.0})
        if self.num_agents == self.pullers or plan <= 0.0:
            escape, plan = idle, 0.0
        planner = Yardstick(
            plan, "closed form", selection="maximum of the sum", rule=Stand(escape),
            detail={"escapes": float((escape == DOOR).sum())},
        )  # fmt: skip
        wasted = -float(c.sum())  # all go to the lever, or to a closed door
        return References(selfish, planner, plan - wasted)

    def _gain(self, agent: int) -> float:
        """What `agent` gains by its best reply to others who stay at the start, by dynamic programming.

        The others never move, so that the own place is all there is to know.
        """
        value = np.zeros(3)
        for _ in range(self.steps):
            best = np.full(3, -np.inf)
            for before, chosen in product(range(3), repeat=2):
                places = np.zeros((2, 1, self.num_agents))
                places[0, 0, agent], places[1, 0, agent] = before, chosen
                money, out = self.payoff(*places)
                future = 0.0 if out.any() else self.discount * value[chosen]
                best[before] = max(best[before], money[0, agent] + future)
            value = best
        return float(value[START])

    def perfect_values(self) -> Array:
        """Values `(K, N)` at the start of the subgame-perfect equilibria in pure strategies that are found.

        Backward induction over all places: in each state the stage game with continuation values is
        searched for all its pure equilibria, and the one kept for what comes before is once the worst
        and once the best in sum.

        Raises:
            NotExact: more agents than can be looked at, or a state without a pure equilibrium.
        """
        if self.num_agents > LARGEST_ROOM:
            raise NotExact(f"{self.num_agents} agents; allowed: {LARGEST_ROOM}, every place is looked at")
        self._numbers()
        places = np.array(list(product(range(3), repeat=self.num_agents)), np.float64)
        return np.array([self._induction(places, choose)[0] for choose in (np.argmin, np.argmax)])

    def _induction(self, places: Array, choose: Any) -> Array:
        """Values `(3^N, N)` at the first step, if `choose` picks among the W of a state's equilibria."""
        n, count = self.num_agents, len(places)
        value = np.zeros((count, n))
        for _ in range(self.steps):
            new = np.empty_like(value)
            for state in range(count):
                money, out = self.payoff(np.repeat(places[[state]], count, axis=0), places)
                total = money + self.discount * value * ~out.any(axis=1, keepdims=True)
                table = total.reshape(*[3] * n, n)
                found = pure_equilibria(table)
                if not found:
                    raise NotExact(f"no pure equilibrium at places {places[state]}; allowed: other rooms")
                new[state] = table[found[choose([table[cell].sum() for cell in found])]]
            value = new
        return value

    @classmethod
    def theory(cls) -> Iterable[Check]:
        """What the groups of the source could get, played, and what selfish play gets."""
        source = "Yang et al. (2020), 10 (N - M) - M"
        for preset, best in (("er_2_1", 9.0), ("er_3_2", 8.0)):
            room = cls.from_dict(cls.presets[preset])
            found, name = room.references(), f"ER({room.num_agents},{room.pullers})"
            goal = found.planner.rule.place[None, :].astype(np.float64)  # type: ignore[union-attr]
            money, _ = room.payoff(np.zeros_like(goal), goal)
            yield Check(f"{name}: largest return of the group", source, best, float(money.sum()))
            yield Check(f"{name}: W of the planner", source, best, found.planner.welfare)
            yield Check(
                f"{name}: gain from leaving the start alone", "best reply", 0.0, found.selfish.epsilon
            )
            worth = float(np.abs(room.perfect_values()).max())
            yield Check(f"{name}: subgame-perfect values", "backward induction", 0.0, worth)


@dataclass(frozen=True)
class Stand:
    """The rule that each agent goes to its place `(N,)` and stays there."""

    place: NDArray[np.int64]

    def probabilities(self, observed: Mapping[str, Array]) -> Mapping[str, Array]:
        """Law `(B, N, 3)` of the place: a sure thing."""
        worlds = len(next(iter(observed.values())))
        return {"place": np.repeat(np.eye(3)[self.place][None], worlds, axis=0)}

    def __call__(self, observed: Mapping[str, Array], rng: Streams) -> Mapping[str, Array]:
        """Entries of the action array, `(B, N)`."""
        worlds = len(next(iter(observed.values())))
        return {"place": np.repeat(self.place[None].astype(np.float64), worlds, axis=0)}
