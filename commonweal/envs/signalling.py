r"""`signalling-v0`: education that teaches nothing (job market signalling).

A worker brings a candidate to market in every round: productive ($\theta_H$) with probability $\lambda$,
else $\theta_L < \theta_H$. The candidate knows its productivity and chooses a signal $e \ge 0$ that costs

$$\text{cost} = \kappa\, e / \theta ,$$

less for the productive, and produces nothing. In the next round the firms of that worker see the signal
and bid a wage; the highest bid hires it (ties by lot) and earns $\theta$ less the wage. The first round
has no candidate to hire, and the last signal is for nobody: T rounds hold T - 1 hirings.

Rival firms pay the productivity they expect. In the *least-cost separating* equilibrium the unproductive
do not signal, the productive choose the least signal that these will not copy,

$$e_H = \delta\, \theta_L (\theta_H - \theta_L) / \kappa ,$$

with $\delta$ the discount, and a share of what the productive earn is wasted. It alone passes the
intuitive criterion (Cho and Kreps 1987). Others: separating with the most costly signal that the
productive still send, $\delta\, \theta_H (\theta_H - \theta_L) / \kappa$; *pooling* on no signal (nobody
believes in signals, nothing is wasted), and on the most costly signal that all send lest they be held for
unproductive. As everywhere, the worst of these is the selfish yardstick and the rest are in `others`. The
planner hires all and nobody signals. If signals cost nothing ($\kappa = 0$) there is no separation, and no
waste.

Sources: Spence (1973), Quarterly J. of Economics 87, 355-374; Cho and Kreps (1987), Quarterly J. of
Economics 102, 179-221. Recalled, not looked up; the equilibria are tested by every deviation.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from commonweal.envs.base import Outcome, Play
from commonweal.envs.repeated import PROGRESS, RepeatedGame, RoundState
from commonweal.envs.sides import of
from commonweal.errors import require
from commonweal.parameters import Parameter, check
from commonweal.random import Streams
from commonweal.references import Check, References
from commonweal.spaces import Action, Bounds, Conduct, Levels, Real, Signal

Array = NDArray[np.float64]


@dataclass
class SignallingState(RoundState):
    """Rounds so far, and the candidates.

    Attributes:
        ability: of the candidate that now chooses its signal, `(B, W)`.
        candidate: ability of the candidate to be hired in the coming round; 0 in the first, `(B, W)`.
        signal: that candidate's signal, `(B, W)`.
    """

    ability: Array
    candidate: Array
    signal: Array


@dataclass(frozen=True, eq=False, repr=False)
class Signalling(RepeatedGame):
    """Costly signals of ability, and firms that bid for who sends them.

    Agents are the workers, then the firms (those of the first worker, of the second, …).

    Attributes:
        num_workers: W.
        firms_per_worker: rivals for each worker, at least 2.
        low_ability, high_ability: theta, money that a hired candidate earns its firm.
        share_high: lambda, probability of the high ability.
        signal_cost: kappa, money per unit of the signal and per 1 / ability; read at the workers.
        max_signal: largest signal.
        signal_levels, wage_levels: levels of signals, and of bids up to the high ability; None: continuous.
        rounds: rounds of the game.
        discount: weight of the next round.
    """

    id: ClassVar[str] = "signalling-v0"
    conducts: ClassVar[Mapping[str, Conduct]] = {
        "signal": Conduct("units", limitable=True),
        "wage": Conduct("money units", limitable=True),
        "hired": Conduct(""),
        "income": Conduct("money"),
    }

    num_workers: int = 4
    firms_per_worker: int = 2
    low_ability: float = 1.0
    high_ability: float = 2.0
    share_high: float = 0.5
    signal_cost: Parameter = 1.0
    max_signal: float = 2.0
    signal_levels: Levels = 21
    wage_levels: Levels = 21
    rounds: int = 11

    def validate(self) -> None:
        """Check the ranges."""
        super().validate()
        check("Signalling.num_workers", self.num_workers, 1, math.inf)
        check("Signalling.firms_per_worker", self.firms_per_worker, 2, math.inf)
        check("Signalling.low_ability", self.low_ability, 0.0, math.inf, open_low=True)
        above = self.high_ability > self.low_ability
        require(above, "Signalling.high_ability", self.high_ability, f"above {self.low_ability}")
        check("Signalling.share_high", self.share_high, 0.0, 1.0)
        check("Signalling.signal_cost", self.signal_cost, 0.0, math.inf)
        check("Signalling.max_signal", self.max_signal, 0.0, math.inf, open_low=True)

    @property
    def groups(self) -> Mapping[str, int]:
        """Workers, then firms."""
        return {"workers": self.num_workers, "firms": self.num_workers * self.firms_per_worker}

    def actions(self) -> list[Action]:
        """Signal of the coming candidate; wage offered to the present one."""
        signal = Real(0.0, self.max_signal, "units", self.signal_levels)
        wage = Real(0.0, self.high_ability, "money", self.wage_levels)
        return [Action("signal", signal, "workers"), Action("wage", wage, "firms")]

    def signals(self) -> list[Signal]:
        """Workers see the ability of the candidate that now chooses; firms the signal of the one on offer."""
        return [
            PROGRESS,
            Signal("ability", "money", 0.0, self.high_ability, "workers"),
            Signal("shown", "units", 0.0, self.max_signal, "firms"),
            Signal("signal_cost", "money per unit", 0.0),
        ]

    def initial(self, rng: Streams) -> SignallingState:
        """No candidate to hire; the first ones choose their signals."""
        nothing = np.zeros((rng.num_worlds, self.num_workers))
        return SignallingState(np.zeros((rng.num_worlds, 1)), self._draw(rng), nothing, nothing)

    def _draw(self, rng: Streams) -> Array:
        high = rng.uniform(self.num_workers) < self.share_high
        return np.where(high, self.high_ability, self.low_ability)

    def step(self, state: SignallingState, play: Play, rng: Streams) -> tuple[SignallingState, Outcome]:
        """One round: firms bid for the present candidates while the next choose their signals."""
        wage, worlds, rivals = play["wage"], len(play["wage"]), self.firms_per_worker
        present = (state.candidate > 0).astype(np.float64)
        offers = wage.reshape(worlds, -1, rivals)
        paid = present * offers.max(axis=2)
        lot = rng.uniform(wage.shape[1]).reshape(offers.shape)
        first = np.where(offers == offers.max(axis=2, keepdims=True), lot, -1.0).argmax(axis=2)
        hires = (np.arange(rivals) == first[:, :, None]) * present[:, :, None]
        profit = (hires * (state.candidate[:, :, None] - offers)).reshape(wage.shape)
        cost = of(self.signal_cost, self.agents_of("workers")) * play["signal"] / state.ability
        money = np.concatenate([paid - cost, profit], axis=1)
        following = SignallingState(state.round + 1.0, self._draw(rng), state.ability, play["signal"])
        conduct = {
            "signal": np.concatenate([play["signal"], 0.0 * wage], axis=1),
            "wage": np.concatenate([0.0 * paid, wage], axis=1),
            "hired": np.concatenate([present, hires.reshape(wage.shape)], axis=1),
            "income": money,
        }
        return following, Outcome(money, conduct, self.over(following))

    def observe(self, state: SignallingState) -> Mapping[str, Array]:
        """Ability is private, the signal is shown to the worker's firms."""
        rivals, agents = self.firms_per_worker, sum(self.groups.values())
        cost = np.broadcast_to(of(self.signal_cost, self.agents_of("workers")), state.signal.shape)
        shown = np.empty((len(cost), agents))
        shown[:, self.agents_of("workers")] = cost
        shown[:, self.agents_of("firms")] = np.repeat(cost, rivals, axis=1)
        return {
            "progress": state.round / self.rounds,
            "ability": state.ability,
            "shown": np.repeat(state.signal, rivals, axis=1),
            "signal_cost": shown,
        }

    def limit(self, state: SignallingState, play: Play, bounds: Bounds) -> Play:
        """Change signals and wages to what the bounds allow."""
        limited, firms = dict(play), self.agents_of("firms")
        ends = {"signal": (self.agents_of("workers"), self.max_signal), "wage": (firms, self.high_ability)}
        for name, (low, high) in bounds.items():
            agents, most = ends[name]
            limited[name] = np.clip(np.clip(play[name], of(low, agents), of(high, agents)), 0.0, most)
        return limited

    # ------------------------------------------------------------------ theory

    def references(self) -> References:
        """Pooling and separation, without and with the most waste; planner; see `envs.signalling_theory`."""
        from commonweal.envs.signalling_theory import references  # it reads this class

        return references(self)

    @classmethod
    def theory(cls) -> Iterable[Check]:
        """The separating signal makes the unproductive indifferent and wastes what it costs."""
        source = "Spence (1973), derived"
        game = cls(low_ability=1.0, high_ability=3.0, share_high=0.25, max_signal=8.0, signal_levels=None,
                   wage_levels=None)  # fmt: skip
        found = game.references()
        least = found.others["least-cost separation"]
        signal = least.detail["signal"]
        yield Check("signalling: least-cost signal, abilities 1 and 3", source, 2.0, signal)
        gains = {ability: game.played(ability, signal) for ability in (1.0, 3.0)}
        yield Check("signalling: gain of the unproductive from copying", source, 0.0, gains[1.0])
        yield Check("signalling: gain of the productive from signalling", source, 4.0 / 3.0, gains[3.0])
        yield Check("signalling: W of the equilibrium per hiring", source, 1.5 - 0.25 * 2.0 / 3.0,
                    least.welfare / 40.0)  # fmt: skip
        costly = found.selfish.detail["signal"]
        yield Check("signalling: most costly separating signal", source, 6.0, costly)
        yield Check("signalling: gain of the productive from that", source, 0.0, game.played(3.0, costly))

    def played(self, ability: float, signal: float) -> float:
        """What `signal` brings a candidate whom firms then hold for productive, by playing two rounds."""
        one, rng = replace(self, num_workers=1), Streams(np.zeros(2, np.uint64), 0)
        state = one.initial(rng)
        state.ability = np.full((2, 1), ability)
        sent = np.array([[signal], [0.0]])
        bids = np.where(sent > 0, self.high_ability, self.low_ability) * np.ones((2, self.firms_per_worker))
        state, first = one.step(state, {"signal": sent, "wage": bids}, rng)
        _, second = one.step(state, {"signal": 0.0 * sent, "wage": bids}, rng)
        total = first.money[:, 0] + self.discount * second.money[:, 0]
        return float(total[0] - total[1])
