r"""`irrigation-v0`: head-enders and tail-enders of a canal, who maintain it together and take water in turn.

N farmers sit along a canal, farmer 1 at its head. In every round each gives $g_i$ of its $e$ tokens of
labour to maintenance, and the canal delivers

$$W(G) = W_0 + (\bar W - W_0)\, \frac{G^k}{G^k + H^k}, \qquad G = \sum_i g_i .$$

Then each opens its gate for $d_i$ units of water, in order from head to tail, and gets what is left,

$$x_i = \min\Bigl(d_i,\; W(G) - \sum_{j < i} x_j\Bigr), \qquad
\pi_i = e - g_i + a x_i - \tfrac{b}{2} x_i^2 .$$

Yields are concave: the first water is worth most, beyond $a / b$ it does damage. Both acts are chosen at
once, which loses nothing: to ask for what one would take at most ($a / b$) is dominant whatever is
left (on levels: one of the two next to it, see `canal`). So the head takes its fill and needs no more
maintenance, the tail gets nothing and has no reason to work, and only whoever sits where the water ends
pays. Positions are the agents' indices.

Observed: position; the water that arrived at the own gate and the labour given in the round before.

Sources: Ostrom and Gardner (1993), Journal of Economic Perspectives 7(4), 93-112 (abstract looked up:
asymmetry of head-enders and tail-enders who maintain a system together); Janssen, Anderies and Joshi
(2011), Experimental Economics (abstract looked up: investment, then extraction in order). Five
farmers with ten tokens each, and a yield that rises and falls again, are those of that laboratory's
software (looked up: virtualcommons/irrigation). Functional forms and numbers are ours; the preset `threshold`
is shaped like the water table of the field experiments of Janssen et al. (2012), recalled, not looked up.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from commonweal.curves import hill
from commonweal.envs import canal
from commonweal.envs.base import Outcome, Play
from commonweal.envs.one_state import Fixed
from commonweal.envs.repeated import PROGRESS, Always, RepeatedGame, RoundState
from commonweal.errors import NotExact, require
from commonweal.parameters import AgentParameter, Parameter, WorldParameter, check
from commonweal.random import Streams
from commonweal.references import Check, References, Yardstick
from commonweal.spaces import Action, Bounds, Conduct, Levels, Real, Signal

Array = NDArray[np.float64]


@dataclass
class IrrigationState(RoundState):
    """After a round: water that arrived at each gate `(B, N)`, and labour given in all `(B, 1)`."""

    arrived: Array
    maintained: Array


@dataclass(frozen=True, eq=False, repr=False)
class Irrigation(RepeatedGame):
    """Irrigation from a canal that its users maintain.

    Attributes:
        num_agents: N, from head to tail.
        endowment: e, tokens of labour per farmer and round.
        base_flow: W_0, water that arrives without maintenance.
        capacity: water that a perfectly maintained canal delivers.
        half_labour: H, tokens at which half of what maintenance can add is reached.
        steepness: k; above 1 the first tokens add little (a threshold).
        yield_slope: a, money per unit of the first water.
        yield_curvature: b, by which that falls with each unit.
        max_water: widest opening of a gate, in units of water.
        contribution_levels: levels of labour from nothing to the largest endowment; None: continuous.
        water_levels: levels of the opening; None: continuous.
    """

    id: ClassVar[str] = "irrigation-v0"
    conducts: ClassVar[Mapping[str, Conduct]] = {
        "contribution": Conduct("tokens", limitable=True),
        "extraction": Conduct("water", limitable=True),
        "income": Conduct("money"),
        "harm": Conduct("money", oracle=True),
    }
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "threshold": {"base_flow": 0.0, "half_labour": 25.0, "steepness": 4.0},
    }

    num_agents: int = 5
    endowment: AgentParameter = 10.0
    base_flow: WorldParameter = 30.0
    capacity: WorldParameter = 100.0
    half_labour: WorldParameter = 25.0
    steepness: WorldParameter = 1.0
    yield_slope: Parameter = 3.0
    yield_curvature: Parameter = 0.1
    max_water: float = 40.0
    contribution_levels: Levels = 11
    water_levels: Levels = 41

    def validate(self) -> None:
        """Check the ranges."""
        super().validate()
        check("Irrigation.num_agents", self.num_agents, 1, math.inf)
        for name in ("endowment", "half_labour", "steepness", "yield_slope", "yield_curvature", "max_water"):
            check(f"Irrigation.{name}", getattr(self, name), 0.0, math.inf, open_low=True)
        check("Irrigation.base_flow", self.base_flow, 0.0, math.inf)
        more = bool(np.all(np.asarray(self.capacity) >= np.asarray(self.base_flow)))
        require(more, "Irrigation.capacity", self.capacity, f"base_flow = {self.base_flow} or more")
        check("Irrigation.capacity", self.capacity, 0.0, 1e9, open_low=True)

    def actions(self) -> list[Action]:
        """Labour, at most the own endowment, and the opening of the gate."""
        most = float(np.max(self.endowment))
        return [
            Action("contribution", Real(0.0, most, "tokens", self.contribution_levels)),
            Action("water", Real(0.0, self.max_water, "water", self.water_levels)),
        ]

    def signals(self) -> list[Signal]:
        """Where one sits, and the round before."""
        return [
            PROGRESS,
            Signal("position", "0 head, 1 tail", 0.0, 1.0),
            Signal("arrived", "water", 0.0, float(np.max(self.capacity))),
            Signal("maintained", "share of all labour", 0.0, 1.0, public=True),
        ]

    def initial(self, rng: Streams) -> IrrigationState:
        """Before the first round nothing has arrived."""
        worlds = rng.num_worlds
        none = np.zeros((worlds, self.num_agents))
        return IrrigationState(np.zeros((worlds, 1)), none, np.zeros((worlds, 1)))

    def step(self, state: IrrigationState, play: Play, rng: Streams) -> tuple[IrrigationState, Outcome]:
        """One round."""
        given = np.minimum(play["contribution"], self.endowment)
        total = given.sum(axis=1, keepdims=True)
        arrived, taken = self.share_out(self.delivered(total), play["water"])
        payoff = self.endowment - given + self.harvest(taken)
        everything = np.broadcast_to(np.asarray(self.endowment), given.shape).sum(axis=1, keepdims=True)
        following = IrrigationState(state.round + 1.0, arrived, total / everything)
        conduct = {"contribution": given, "extraction": taken, "income": payoff}
        return following, Outcome(payoff, conduct, self.over(following))

    def delivered(self, labour: Array) -> Array:
        """Water `W(G)` that the canal delivers for labour of any shape."""
        maintained = hill(labour, self.half_labour, self.steepness)
        return np.asarray(self.base_flow + (np.asarray(self.capacity) - self.base_flow) * maintained)

    def share_out(self, water: Array, demand: Array) -> tuple[Array, Array]:
        """What arrives at each gate and what is taken there, `(..., N)`, of `water (..., 1)`."""
        passed = np.minimum(np.cumsum(demand, axis=-1), water)
        taken = passed.copy()
        taken[..., 1:] -= passed[..., :-1]
        return water - passed + taken, taken

    def harvest(self, water: Array) -> Array:
        """Yield `a x - b x^2 / 2` in money, `(..., N)`."""
        return water * (self.yield_slope - 0.5 * self.yield_curvature * water)

    def observe(self, state: IrrigationState) -> Mapping[str, Array]:
        """All know the round and the labour given, each its place and its water."""
        place = np.arange(self.num_agents) / max(self.num_agents - 1, 1)
        return {
            **super().observe(state),
            "position": np.broadcast_to(place, state.arrived.shape),
            "arrived": state.arrived,
            "maintained": state.maintained,
        }

    def limit(self, state: IrrigationState, play: Play, bounds: Bounds) -> Play:
        """Change labour and openings to what the bounds allow."""
        given, demand = play["contribution"], play["water"]
        if "contribution" in bounds:
            given = np.clip(given, *bounds["contribution"])
        if "extraction" in bounds:
            demand = np.clip(demand, *bounds["extraction"])
        return {
            **play,
            "contribution": np.clip(given, 0.0, self.endowment),
            "water": np.clip(demand, 0.0, self.max_water),
        }

    def harm(self, state: RoundState, play: Play, outcome: Outcome, following: RoundState) -> Array:
        """What the others' yields lose because a farmer did not stay at home, `(B, N)`.

        Water taken harms those downstream; labour given helps wherever the water then arrives.
        """
        n = self.num_agents
        given, demand = outcome.conduct["contribution"], play["water"]
        absent = 1.0 - np.eye(n)
        water = self.delivered(given.sum(axis=1, keepdims=True) - given)[..., None]
        spared = self.share_out(water, demand[:, None, :] * absent)[1]
        slope, curvature = (np.atleast_2d(v)[:, None, :] for v in (self.yield_slope, self.yield_curvature))
        yields = spared * (slope - 0.5 * curvature * spared)
        now = self.harvest(outcome.conduct["extraction"])
        return ((yields - now[:, None, :]) * absent).sum(axis=2)

    # ------------------------------------------------------------------ yardsticks

    def state_at(self, coordinate: Array) -> RoundState:
        """Refused: farmers are not equal.

        Raises:
            NotExact: always.
        """
        raise NotExact("head and tail are no game among equals; allowed: the dilemma's own references()")

    def references(self) -> References:
        """The worst pure equilibrium of a round, repeated, and the best plan, both by enumeration.

        Raises:
            NotExact: continuous acts, parameters by world, or no pure equilibrium of a round.
        """
        canal.require_exact(self)

        def stick(given: Array, demand: Array, selection: str) -> Yardstick:
            rule = Always(self, {"contribution": given, "water": demand})
            payoff, taken = self._round(given, demand)
            gain = max(canal.deviation_gain(self, given, demand, i) for i in range(self.num_agents))
            detail = {
                "labour": float(given.sum()),
                "water": float(taken.sum()),
                "tail's water": float(taken[0, -1]),
            }
            welfare = self.weight * float(payoff.sum())
            return Yardstick(welfare, "enumeration", 0.0, self.weight * gain, selection, rule, detail)

        found = canal.equilibria(self)
        how = f"worst of {len(found)} sums of labour in pure equilibria of a round in undominated openings"
        sticks = sorted((stick(*acts, how) for acts in found), key=lambda one: one.welfare)
        planner = stick(*canal.plan(self), "maximum of the sum over all levels")
        planner = replace(planner, kind="dynamic programming", epsilon=math.nan)
        everything = np.broadcast_to(np.asarray(self.endowment), (1, self.num_agents))
        assert isinstance(sticks[0].rule, Always)
        gate = np.asarray(sticks[0].rule.values["water"])
        extremes = [
            self.weight * float(self._round(given, demand)[0].sum())
            for given in (0.0 * everything, everything)
            for demand in (0.0 * gate, gate)
        ]
        others = {f"labour {one.detail['labour']:g}": one for one in sticks[1:]}
        return References(
            sticks[0], planner, planner.welfare - min(*extremes, sticks[0].welfare), others=others
        )

    def _round(self, given: Array, demand: Array) -> tuple[Array, Array]:
        """Payoffs and water `(B, N)` of a round, played by `step`."""
        rng = Fixed(len(given), None, self.id)
        _, outcome = self.step(self.initial(rng), {"contribution": given, "water": demand}, rng)
        return outcome.money, outcome.conduct["extraction"]

    @classmethod
    def theory(cls) -> Iterable[Check]:
        """The round at the defaults, worked out by hand, and the planner's first-order condition."""
        source, game = "derived: Ostrom and Gardner's asymmetry", cls(rounds=1)
        found = game.references()
        yield Check("irrigation: labour in equilibrium", source, 10.0, found.selfish.detail["labour"])
        # W(10) = 30 + 70 * 10 / 35 = 50: the head takes 30, the second farmer, who alone works, 20.
        yield Check("irrigation: water in equilibrium", source, 50.0, found.selfish.detail["water"])
        yield Check("irrigation: W in equilibrium", source, 55.0 + 40.0 + 30.0, found.selfish.welfare)
        yield Check("irrigation: gain of the best deviation", source, 0.0, found.selfish.epsilon)

        def condition(labour: float) -> float:
            water = 30.0 + 70.0 * labour / (labour + 25.0)
            return (3.0 - 0.1 * water / 5.0) * 70.0 * 25.0 / (labour + 25.0) ** 2 - 1.0

        best = brentq(condition, 1.0, 50.0)
        ours = found.planner.detail["labour"]
        yield Check("irrigation: planner's labour, nearest level", source, best, ours, 0.5)
        # Equal shares of that water are an upper bound, which whole units of water miss by little.
        water = 30.0 + 70.0 * best / (best + 25.0)
        bound = 50.0 - best + 3.0 * water - 0.1 * water**2 / 10.0
        yield Check(
            "irrigation: planner's W, below the continuous optimum", source, bound, found.planner.welfare, 0.1
        )
        threshold = cls(rounds=1, **cls.presets["threshold"]).references()
        yield Check("irrigation: nobody works below a threshold", source, 50.0, threshold.selfish.welfare)
