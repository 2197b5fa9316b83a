r"""`public_goods-v0`: the voluntary contributions game, linear in contributions.

Each of N citizens has an endowment $e$ in every round, contributes $g_i$ of it and earns

$$\pi_i = e_i - g_i + m \sum_j g_j .$$

With $m < 1 < N m$ contributing nothing is dominant and contributing all is best for the group. A
fixed and known number of rounds is played; the round is in the state and the model ends by itself.

Source: the default is Fehr and Gächter (2002), Nature 415, 137-140: N = 4, e = 20, m = 0.4.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from commonweal.envs.base import Outcome, Play
from commonweal.envs.repeated import Always, RepeatedGame, RoundState
from commonweal.parameters import Parameter, check
from commonweal.random import Streams
from commonweal.references import Check, References, Yardstick
from commonweal.spaces import Action, Bounds, Conduct, Real

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class PublicGoods(RepeatedGame):
    """Linear public good.

    Attributes:
        num_agents: N.
        endowment: e, money per citizen and round.
        marginal_return: m, what each citizen gets of a unit contributed by anybody (MPCR).
        levels: contribution levels from nothing to the largest endowment; None: continuous.
        rounds: rounds of the game.
        discount: weight of the next round.
    """

    id: ClassVar[str] = "public_goods-v0"
    conducts: ClassVar[Mapping[str, Conduct]] = {
        "contribution": Conduct("money units", limitable=True),
        "income": Conduct("money"),
        "harm": Conduct("money", oracle=True),
    }

    num_agents: int = 4
    endowment: Parameter = 20.0
    marginal_return: Parameter = 0.4
    levels: int | None = 21

    def validate(self) -> None:
        """Check the ranges."""
        super().validate()
        check("PublicGoods.num_agents", self.num_agents, 1, math.inf)
        check("PublicGoods.endowment", self.endowment, 0.0, math.inf, open_low=True)
        check("PublicGoods.marginal_return", self.marginal_return, 0.0, math.inf)

    def actions(self) -> list[Action]:
        """The contribution; who has less than the largest endowment gives at most what it has."""
        most = float(np.max(self.endowment))
        return [Action("contribution", Real(0.0, most, "money units", self.levels))]

    def step(self, state: RoundState, play: Play, rng: Streams) -> tuple[RoundState, Outcome]:
        """One round."""
        given = np.minimum(play["contribution"], self.endowment)
        payoff = self.payoff(given)
        following = RoundState(state.round + 1.0)
        conduct = {"contribution": given, "income": payoff}
        return following, Outcome(payoff, conduct, self.over(following))

    def payoff(self, given: Array) -> Array:
        """Money `(B, N)` from contributions `(B, N)`."""
        return self.endowment - given + self.marginal_return * given.sum(axis=1, keepdims=True)

    def limit(self, state: RoundState, play: Play, bounds: Bounds) -> Play:
        """Change contributions to what the bounds allow."""
        low, high = bounds["contribution"]
        given = np.clip(play["contribution"], low, high)
        return {**play, "contribution": np.clip(given, 0.0, self.endowment)}

    def harm(self, state: RoundState, play: Play, outcome: Outcome, following: RoundState) -> Array:
        """Each unit kept back costs nobody, each given brings the others m: harm is negative."""
        return -self.marginal_return * (self.num_agents - 1) * outcome.conduct["contribution"]

    def references(self) -> References:
        """Dominant strategies: nothing for the selfish where m < 1, all for the planner where N m > 1."""
        endowment = np.broadcast_to(np.asarray(self.endowment, float).reshape(1, -1), (1, self.num_agents))
        m, most = float(np.max(self.marginal_return)), float(endowment.max())

        def stick(share: float, selection: str) -> Yardstick:
            total = share * endowment.sum()
            welfare = self.weight * (endowment.sum() - total + self.num_agents * m * total)
            return Yardstick(
                welfare, "closed form", 0.0, 0.0, selection, Always(self, {"contribution": share * most})
            )

        selfish = stick(float(m > 1), "dominant strategy")
        planner = stick(float(self.num_agents * m > 1), "maximum of the sum")
        return References(selfish, planner, abs(stick(1.0, "").welfare - stick(0.0, "").welfare))

    @classmethod
    def theory(cls) -> Iterable[Check]:
        """Payoffs of a round of the laboratory's game (Fehr and Gächter 2002)."""
        source, game = "Fehr and Gächter (2002)", cls(rounds=1)
        found = game.references()
        yield Check("public good: all contribute, each", source, 32.0, found.planner.welfare / 4)
        yield Check("public good: nobody contributes, each", source, 20.0, found.selfish.welfare / 4)
        rider = np.array([[0.0, 20.0, 20.0, 20.0]])
        yield Check("public good: lone free rider", source, 44.0, float(game.payoff(rider)[0, 0]))
