r"""`routing-v0`: selfish routing: Pigou's two roads, Braess's paradox, any small network.

Each of N drivers chooses a route, a set of edges. With $x_e$ the share of the drivers on edge $e$, crossing
it takes $\ell_e(x_e) = \sum_k c_{ek} x_e^k$, and a driver whose time is worth $v_i$ pays

$$\pi_i = -v_i \sum_{e \in r_i} \ell_e(x_e) .$$

The same journey is made on a known number of days; all see which share took which route the day before.

Pigou's roads (the default): a wide road that always takes 1, and a narrow one that takes the share $x$ of the
drivers on it. Nobody prefers the wide road, so all take the narrow one and need 1; half of them there
would need 3/4 on average: the price of anarchy is 4/3, the worst for affine latencies. Braess's network has
the same ratio: a free shortcut between two roads makes everybody later.

Counts of drivers by route form a game with Rosenthal's potential
$\sum_e \sum_{k \le n_e} \ell_e(k / N)$, so an equilibrium in pure choices exists for any latencies. Here all
of them are found by trying every count; `selfish` is the worst.

Harm is the money that the others lose because a driver did not stay at home, the act that it is measured
against; in a large crowd it is the marginal damage $x_e \ell_e'(x_e)$ of the textbook. A toll equal to it
makes the cost of all a potential: the optimum is an equilibrium. `route`, the index of the route, is a
physical base: with two roads, a tax on it is a toll on the second; a quota of 1 closes Braess's shortcut,
which is route 2.

Sources: Pigou (1920), The Economics of Welfare; Rosenthal (1973), International Journal of Game Theory 2,
65-67; Roughgarden and Tardos (2002), Journal of the ACM 49, 236-259 (4/3); Braess (1968),
Unternehmensforschung 12, 258-268, in the form with latencies x and 1. All recalled, not looked up.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from commonweal.envs.base import Outcome, Play
from commonweal.envs.repeated import Always, RepeatedGame, RoundState
from commonweal.errors import NotExact, require
from commonweal.parameters import Parameter, check
from commonweal.random import Streams
from commonweal.references import Check, References, Yardstick
from commonweal.spaces import Action, Bounds, Choice, Conduct, Signal

Array = NDArray[np.float64]
Ints = NDArray[np.intp]

MOST_COUNTS = 200_000  # ways to divide the drivers among the routes that are tried one by one
SLACK = 1e-9  # of the longest time: nearer than this two times are equal


@dataclass
class RoutingState(RoundState):
    """Days so far `(B, 1)`, and the share of the drivers on each route the day before, `(B, R)`."""

    share: Array


@dataclass(frozen=True)
class Network:
    """Edges of the routes `(R, E)`, 1 or 0, and coefficients of the latencies `(E, K)`, constant first."""

    incidence: Array
    coefficients: Array

    def latency(self, load: Array) -> Array:
        """Time to cross each edge, `(..., E)`, from the share of the drivers on it, `(..., E)`."""
        time = np.zeros_like(load)
        for coefficient in self.coefficients.T[::-1]:
            time = time * load + coefficient
        return time


@dataclass(frozen=True, eq=False, repr=False)
class Routing(RepeatedGame):
    """Drivers on a network.

    Attributes:
        num_agents: N, drivers.
        routes: edges of each route; route 0 is the null act.
        latency: coefficients (constant, linear, quadratic, ...) of each edge's time in the share of drivers.
        value_of_time: v, money per unit of time; may differ by driver.
        rounds: days.
        discount: weight of the next day.
    """

    id: ClassVar[str] = "routing-v0"
    conducts: ClassVar[Mapping[str, Conduct]] = {
        "route": Conduct("index", limitable=True),
        "travel_time": Conduct("time"),
        "income": Conduct("money"),
        "harm": Conduct("money", oracle=True),
    }

    num_agents: int = 8
    routes: tuple[tuple[int, ...], ...] = ((0,), (1,))
    latency: tuple[tuple[float, ...], ...] = ((1.0,), (0.0, 1.0))
    value_of_time: Parameter = 1.0

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "pigou": {},
        # Edges: start-up (x), up-end (1), start-down (1), down-end (x), up-down (0).
        "braess": {
            "routes": ((0, 1), (2, 3), (0, 4, 3)),
            "latency": ((0.0, 1.0), (1.0,), (1.0,), (0.0, 1.0), (0.0,)),
        },
    }

    def validate(self) -> None:
        """Check the ranges."""
        super().validate()
        check("Routing.num_agents", self.num_agents, 1, math.inf)
        check("Routing.value_of_time", self.value_of_time, 0.0, math.inf, open_low=True)
        require(len(self.routes) >= 2, "Routing.routes", self.routes, "at least two routes")
        known = range(len(self.latency))
        fits = all(
            edges and len(set(edges)) == len(edges) and set(edges) <= set(known) for edges in self.routes
        )
        require(fits, "Routing.routes", self.routes, f"different edges from 0 to {len(self.latency) - 1}")
        for number, coefficients in enumerate(self.latency):
            require(len(coefficients) > 0, f"Routing.latency[{number}]", coefficients, "at least a constant")
            check(f"Routing.latency[{number}]", np.array(coefficients), 0.0, math.inf)

    @cached_property
    def network(self) -> Network:
        """The network as arrays."""
        width = max(len(c) for c in self.latency)
        padded = [[*c, *[0.0] * (width - len(c))] for c in self.latency]
        edges = range(len(self.latency))
        incidence = [[float(edge in route) for edge in edges] for route in self.routes]
        return Network(np.array(incidence), np.array(padded, np.float64))

    def actions(self) -> list[Action]:
        """The route."""
        names = tuple("edges " + " ".join(str(edge) for edge in edges) for edges in self.routes)
        return [Action("route", Choice(names))]

    def signals(self) -> list[Signal]:
        """The share of the days that has passed, and of the drivers on each route the day before."""
        share = Signal("share", "share of drivers", 0.0, 1.0, width=len(self.routes), public=True)
        return [*super().signals(), share]

    def initial(self, rng: Streams) -> RoutingState:
        """Nobody has driven yet."""
        return RoutingState(np.zeros((rng.num_worlds, 1)), np.zeros((rng.num_worlds, len(self.routes))))

    def state_at(self, coordinate: Array) -> RoutingState:
        """The states before day `coordinate (B,)`, with empty roads the day before."""
        return RoutingState(coordinate[:, None], np.zeros((len(coordinate), len(self.routes))))

    def observe(self, state: Any) -> Mapping[str, Array]:
        """All see the day, and the traffic of the day before."""
        return {**super().observe(state), "share": state.share[:, None, :]}

    def step(self, state: RoutingState, play: Play, rng: Streams) -> tuple[RoutingState, Outcome]:
        """One day."""
        route = play["route"]
        on, share = self._on(route)
        time = (on * self._route_times(share)[:, None, :]).sum(axis=2)
        income = -self.value_of_time * time
        following = RoutingState(state.round + 1.0, share)
        conduct = {"route": route, "travel_time": time, "income": income}
        return following, Outcome(income, conduct, self.over(following))

    def _on(self, route: Array) -> tuple[Array, Array]:
        """Who is on which route `(B, N, R)`, 1 or 0, and the share of the drivers on each, `(B, R)`."""
        on = (route[:, :, None] == np.arange(len(self.routes))).astype(np.float64)
        return on, on.mean(axis=1)

    def _route_times(self, share: Array) -> Array:
        """Time of each route `(..., R)` from the shares of the drivers on them, `(..., R)`."""
        incidence = self.network.incidence
        return self.network.latency(share @ incidence) @ incidence.T

    def limit(self, state: RoutingState, play: Play, bounds: Bounds) -> Play:
        """The nearest route whose index is allowed."""
        low, high = bounds["route"]
        route = np.clip(play["route"], np.ceil(low), np.floor(high))
        return {**play, "route": np.clip(route, 0.0, len(self.routes) - 1.0)}

    def harm(self, state: RoutingState, play: Play, outcome: Outcome, following: RoutingState) -> Array:
        """Money that the others lose because a driver did not stay at home, `(B, N)`."""
        on, share = self._on(outcome.conduct["route"])
        value = on * np.broadcast_to(np.asarray(self.value_of_time), on.shape[:2])[:, :, None]
        shorter = share[:, None, :] - np.eye(len(self.routes)) / self.num_agents  # (B, left out, R)
        saved = self._route_times(share)[:, None, :] - self._route_times(np.maximum(shorter, 0.0))
        others = (
            value.sum(axis=1, keepdims=True) - value
        )  # (B, N, R): value of the others' time on each route
        return np.asarray(((on @ saved) * others).sum(axis=2))

    # ------------------------------------------------------------------ yardsticks

    def counts(self) -> Iterator[Ints]:
        """Every way `(R,)` to divide the drivers among the routes.

        Raises:
            NotExact: they are too many to be tried.
        """
        n, kinds = self.num_agents, len(self.routes)
        number = math.comb(n + kinds - 1, kinds - 1)
        if number > MOST_COUNTS:
            raise NotExact(f"{n} drivers can be divided in {number} ways; allowed: {MOST_COUNTS}")

        def divide(left: int, kinds: int) -> Iterator[list[int]]:
            if kinds == 1:
                yield [left]
                return
            for here in range(left + 1):
                for rest in divide(left - here, kinds - 1):
                    yield [here, *rest]

        return (np.array(count, dtype=np.intp) for count in divide(n, kinds))

    def gain(self, count: Ints) -> float:
        """Time that one driver saves by changing its route alone, at most over all drivers; 0 if none."""
        n, times = self.num_agents, self._route_times(count / self.num_agents)
        saved = 0.0
        for old in np.flatnonzero(count):
            for new in range(len(count)):
                moved = count.copy()
                moved[old] -= 1
                moved[new] += 1
                saved = max(saved, float(times[old] - self._route_times(moved / n)[new]))
        return saved

    def references(self) -> References:
        """The worst equilibrium and the best division of the drivers, by trying every count.

        Whose time is worth more sits on a slow route in the worst equilibrium, and on a fast one in the
        optimum; who gains by moving does not depend on it.

        Raises:
            NotExact: the value of time differs by world, or the counts are too many.
        """
        value = np.asarray(self.value_of_time, np.float64)
        if value.ndim == 2 and value.shape[0] > 1:
            raise NotExact(f"Routing.value_of_time has {value.shape[0]} worlds; allowed: one")
        value = np.broadcast_to(value.reshape(1, -1), (1, self.num_agents))[0]
        equilibria: list[Yardstick] = []
        everything: list[float] = []
        best: tuple[float, Ints] | None = None
        slack = SLACK * float(self._route_times(np.ones(len(self.routes))).max())
        for count in self.counts():
            low, high = (self._cost(self._assign(count, value, worst), value) for worst in (False, True))
            everything += [low, high]
            if best is None or low < best[0] - slack * value.sum():
                best = (low, count)
            if self.gain(count) <= slack:
                equilibria.append(self._yardstick(count, value, "Nash equilibrium of every day", worst=True))
        assert best is not None
        equilibria.sort(key=lambda one: one.welfare)
        selfish, planner = equilibria[0], self._yardstick(best[1], value, "smallest cost of all", worst=False)
        spread = self.weight * (max(everything) - min(everything))
        anarchy = selfish.welfare / planner.welfare if planner.welfare else math.nan
        facts = {"price_of_anarchy": anarchy, "equilibria": float(len(equilibria))}
        others = {f"equilibrium {place}": one for place, one in enumerate(equilibria[1:], start=1)}
        return References(selfish, planner, spread, others=others, facts=facts)

    def _assign(self, count: Ints, value: Array, worst: bool) -> Array:
        """Routes `(1, N)`: the fastest for whose time is worth most, or the slowest."""
        times = self._route_times(count / self.num_agents)
        order = np.argsort(-times if worst else times, kind="stable")
        route = np.empty((1, self.num_agents))
        route[0, np.argsort(-value, kind="stable")] = np.repeat(order, count[order])
        return route

    def _cost(self, route: Array, value: Array) -> float:
        on, share = self._on(route)
        return float(((on * self._route_times(share)[:, None, :]).sum(axis=2) * value).sum())

    def _yardstick(self, count: Ints, value: Array, selection: str, worst: bool) -> Yardstick:
        route = self._assign(count, value, worst)
        detail = {f"drivers on route {r}": float(c) for r, c in enumerate(count)}
        detail["mean travel time"] = self._cost(route, np.ones_like(value)) / self.num_agents
        epsilon = self.weight * self.gain(count) * float(value.max()) if worst else math.nan
        welfare = -self.weight * self._cost(route, value)
        rule = Always(self, {"route": route})
        return Yardstick(welfare, "enumeration", 0.0, epsilon, selection, rule, detail)

    @classmethod
    def theory(cls) -> Iterable[Check]:
        """Prices of anarchy, and the toll that restores Pigou's optimum."""
        pigou = cls(rounds=1)
        found = pigou.references()
        name = "Pigou (1920), Roughgarden and Tardos (2002)"
        yield Check(
            "Pigou's roads: mean time at the worst equilibrium", name, 1.0, -found.selfish.welfare / 8
        )
        yield Check("Pigou's roads: mean time at the optimum", name, 0.75, -found.planner.welfare / 8)
        yield Check("Pigou's roads: price of anarchy", name, 4.0 / 3.0, found.facts["price_of_anarchy"])
        many = cls(num_agents=1000, rounds=1).references()
        mildest = max(stick.welfare for stick in (many.selfish, *many.others.values()))
        ratio = mildest / many.planner.welfare
        yield Check("Pigou's roads, N = 1000: price of stability", name, 4.0 / 3.0, ratio, 2e-3)
        square = cls(num_agents=2000, latency=((1.0,), (0.0, 0.0, 1.0)), rounds=1).references()
        steep = 1.0 / (1.0 - 2.0 * 3.0**-1.5)  # of latency x^2
        yield Check("x^2 for x: price of anarchy", name, steep, square.facts["price_of_anarchy"], 1e-6)
        braess = cls(**{**cls.presets["braess"], "rounds": 1}).references()
        yield Check("Braess: mean time with the shortcut", "Braess (1968)", 2.0, -braess.selfish.welfare / 8)
        closed = cls(**{**cls.presets["braess"], "routes": ((0, 1), (2, 3)), "rounds": 1}).references()
        yield Check("Braess: mean time without it", "Braess (1968)", 1.5, -closed.selfish.welfare / 8)
        # Marginal damage of a driver at the optimum, x l'(x) = 1/2 in a large crowd.
        crowd = cls(num_agents=1000, rounds=1)
        play = {"route": (np.arange(1000) < 500).astype(np.float64)[None, :]}
        state = crowd.state_at(np.zeros(1))
        following, outcome = crowd.step(state, play, Streams(np.zeros(1, np.uint64), 0))
        toll = float(crowd.harm(state, play, outcome, following)[0, 0])
        yield Check("Pigou's roads: marginal damage at the optimum", name, 0.5, toll, 2e-3)
