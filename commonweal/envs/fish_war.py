r"""`fish_war-v0`: the great fish war of Levhari and Mirman.

N countries fish one stock; what is left grows concavely, and each enjoys the logarithm of its catch:

$$x_{t+1} = \Bigl(x_t - \sum_i c_{i,t}\Bigr)^{\alpha}, \qquad u_i = \ln c_{i,t}.$$

Agents choose the share of the stock they catch; shares are capped below 1/N, so that the stock is
never exhausted and every play is feasible.

Closed forms (discount $\beta$): in the symmetric Markov-perfect equilibrium each catches the share
$(1 - \alpha\beta) / (N (1 - \alpha\beta) + \alpha\beta)$; the planner lets all together catch
$1 - \alpha\beta$.

Source: Levhari and Mirman (1980), Bell Journal of Economics 11(1), 322-334, for two countries; the
formula for N follows from the same guess of a value function $A + \ln x / (1 - \alpha\beta)$.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from commonweal.envs.base import Dilemma, Outcome, Play
from commonweal.parameters import Parameter, check
from commonweal.random import Streams
from commonweal.spaces import Action, Bounds, Conduct, Real, Signal

Array = NDArray[np.float64]


@dataclass
class FishWarState:
    """Stock `(B, 1)`, in units of the stock that reproduces itself without catch."""

    stock: Array


@dataclass(frozen=True, eq=False, repr=False)
class FishWar(Dilemma):
    """The great fish war.

    Attributes:
        num_agents: N, countries.
        elasticity: alpha, of next year's stock with respect to what is left.
        share_levels: evenly spaced shares from `min_share` to the cap; None for continuous shares.
        min_share: smallest share, above zero since the logarithm of nothing is not defined.
        cap: largest total share; each country's is `cap / N`.
        initial_stock: at the start.
        discount: beta, per year.
    """

    id: ClassVar[str] = "fish_war-v0"
    conducts: ClassVar[Mapping[str, Conduct]] = {
        "extraction": Conduct("stock", limitable=True),
        "income": Conduct("fish"),
        "harm": Conduct("utility", oracle=True),
    }

    num_agents: int = 2
    elasticity: Parameter = 0.5
    share_levels: int | None = None
    min_share: float = 0.005
    cap: float = 0.99
    initial_stock: Parameter = 0.45
    discount: float = 0.9

    def validate(self) -> None:
        """Check the ranges."""
        check("FishWar.num_agents", self.num_agents, 1, math.inf)
        check("FishWar.elasticity", self.elasticity, 0.0, 1.0, open_low=True)
        check("FishWar.cap", self.cap, 0.0, 0.999, open_low=True)
        check("FishWar.min_share", self.min_share, 0.0, 0.9 * self.cap / self.num_agents, open_low=True)
        check("FishWar.initial_stock", self.initial_stock, 0.0, 1.0, open_low=True)
        check("FishWar.discount", self.discount, 0.0, 1.0 - 1e-6)

    @property
    def time_limit(self) -> int:
        """The first year whose weight in W is below one hundredth."""
        return math.ceil(math.log(0.01) / math.log(self.discount)) if self.discount > 0 else 1

    def actions(self) -> list[Action]:
        """The share of the stock."""
        high = self.cap / self.num_agents
        return [Action("share", Real(self.min_share, high, "share", self.share_levels))]

    def signals(self) -> list[Signal]:
        """The logarithm of the stock, the scale on which the model is linear."""
        return [Signal("log_stock", "log stock", -15.0, 0.0)]

    def initial(self, rng: Streams) -> FishWarState:
        """Every episode starts at the same stock."""
        return FishWarState(np.array(np.broadcast_to(np.asarray(self.initial_stock), (rng.num_worlds, 1))))

    def step(self, state: FishWarState, play: Play, rng: Streams) -> tuple[FishWarState, Outcome]:
        """One year."""
        catch = play["share"] * state.stock
        left = state.stock - catch.sum(axis=1, keepdims=True)
        following = FishWarState(left**self.elasticity)
        return following, Outcome(catch, {"extraction": catch, "income": catch})

    def observe(self, state: FishWarState) -> Mapping[str, Array]:
        """All see the stock."""
        return {"log_stock": np.log(np.maximum(state.stock, math.exp(-15.0)))}

    def limit(self, state: FishWarState, play: Play, bounds: Bounds) -> Play:
        """Change shares to what the bounds on catch allow, within the possible shares."""
        low, high = bounds["extraction"]
        share = np.clip(play["share"], low / state.stock, high / state.stock)
        return {**play, "share": np.clip(share, self.min_share, self.cap / self.num_agents)}

    def utility(self, state: FishWarState, outcome: Outcome, money: Array) -> Array:
        """The logarithm of what is consumed: the catch after all payments."""
        return np.log(np.maximum(money, 1e-12))
