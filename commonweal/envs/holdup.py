r"""`holdup-v0`: specific investment before an incomplete contract.

A buyer and a seller meet in pairs. Both invest, $i_1, i_2 \ge 0$, and can write no contract about it.
Then they trade and share what trade is worth by Nash bargaining. Together they earn

$$R = a_1 i_1 + a_2 i_2 + \gamma\, i_1 i_2 ;$$

who leaves keeps of its own investment the part that is not specific to the partner, $(1 - s) a_i i_i$.
Agent i gets this outside value and its share $\sigma_i$ of the gain from trading, less the cost:

$$\pi_i = (1 - s)\, a_i i_i + \sigma_i \bigl[ R - (1 - s)(a_1 i_1 + a_2 i_2) \bigr] - \tfrac12 c_i i_i^2 .$$

Bargaining is the solution of Nash, computed and not played: the dilemma is the investment. With $\gamma =
0$ agent i invests $a_i\, [1 - s (1 - \sigma_i)] / c_i$ instead of $a_i / c_i$: where the investment is
wholly specific ($s = 1$) the investor of power one half invests where half the marginal return equals
marginal cost. Complements ($\gamma > 0$) make it worse, for each holds back because the other does.
Investment that is not specific is not held up (s = 0 and $\gamma = 0$: no dilemma). Ownership of assets in
the sense of Grossman and Hart (1986) is a lower s of the owner.

`harm` of an investment is, with its sign changed, what it brings the partner compared with no investment.

Sources: Grossman and Hart (1986), J. Political Economy 94, 691-719; Hart and Moore (1988), Econometrica
56, 755-785; Nash (1950), Econometrica 18. Recalled, not looked up; the closed form is derived here and
tested by deviations in play.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from commonweal.envs.base import Outcome, Play
from commonweal.envs.repeated import Always, RepeatedGame, RoundState
from commonweal.errors import NotExact, require_memory
from commonweal.parameters import Parameter, check
from commonweal.random import Streams
from commonweal.references import Check, Kind, References, Yardstick
from commonweal.spaces import Action, Bounds, Conduct, Levels, Real

Array = NDArray[np.float64]
TRIED = 20_001  # investments tried in the gain of a deviation, where they are continuous


@dataclass(frozen=True, eq=False, repr=False)
class Holdup(RepeatedGame):
    """Investment in pairs, held up by the partner.

    Agents are the buyers, then the sellers; buyer k is the partner of seller k. All have the same
    columns and so form one group.

    Attributes:
        num_pairs: buyers, and sellers.
        marginal_return: a, money per unit of own investment.
        specificity: s, share of that return which is lost outside the pair; 0 to 1.
        bargaining_power: sigma of the buyers, their share of the gain from trade; sellers get the rest.
        complementarity: gamma, money per product of both investments.
        cost: c, money per squared unit of investment.
        max_investment: largest investment.
        levels: levels of investment; None: continuous.
        rounds: rounds of the game.
        discount: weight of the next round.
    """

    id: ClassVar[str] = "holdup-v0"
    conducts: ClassVar[Mapping[str, Conduct]] = {
        "investment": Conduct("units", limitable=True),
        "income": Conduct("money"),
        "harm": Conduct("money", oracle=True),
    }

    num_pairs: int = 4
    marginal_return: Parameter = 1.0
    specificity: Parameter = 1.0
    bargaining_power: float = 0.5
    complementarity: float = 0.0
    cost: Parameter = 1.0
    max_investment: float = 2.0
    levels: Levels = 21

    def validate(self) -> None:
        """Check the ranges."""
        super().validate()
        check("Holdup.num_pairs", self.num_pairs, 1, math.inf)
        for name in ("marginal_return", "complementarity"):
            check(f"Holdup.{name}", getattr(self, name), 0.0, math.inf)
        for name in ("specificity", "bargaining_power"):
            check(f"Holdup.{name}", getattr(self, name), 0.0, 1.0)
        for name in ("cost", "max_investment"):
            check(f"Holdup.{name}", getattr(self, name), 0.0, math.inf, open_low=True)

    @property
    def num_agents(self) -> int:
        """N."""
        return 2 * self.num_pairs

    @property
    def power(self) -> Array:
        """Sigma of every agent, `(1, N)`."""
        sigma = self.bargaining_power
        return np.repeat([[sigma, 1.0 - sigma]], self.num_pairs, axis=1)

    def actions(self) -> list[Action]:
        """The investment."""
        return [Action("investment", Real(0.0, self.max_investment, "units", self.levels))]

    def step(self, state: RoundState, play: Play, rng: Streams) -> tuple[RoundState, Outcome]:
        """One round: invest, bargain, trade."""
        investment = play["investment"]
        payoff = self.payoff(investment)
        following = RoundState(state.round + 1.0)
        conduct = {"investment": investment, "income": payoff}
        return following, Outcome(payoff, conduct, self.over(following))

    def partner(self, value: Array) -> Array:
        """`value (…, N)` of each agent's partner."""
        return np.roll(value, self.num_pairs, axis=-1)

    def payoff(self, investment: Array) -> Array:
        """Money `(B, N)` from investments `(B, N)`."""
        alone = self.marginal_return * investment
        outside = (1.0 - self.specificity) * alone
        together = alone + self.partner(alone) + self.complementarity * investment * self.partner(investment)
        gain = together - outside - self.partner(outside)
        return outside + self.power * gain - 0.5 * self.cost * investment**2

    def limit(self, state: RoundState, play: Play, bounds: Bounds) -> Play:
        """Change investments to what the bounds allow."""
        low, high = bounds["investment"]
        invested = np.clip(play["investment"], low, high)
        return {**play, "investment": np.clip(invested, 0.0, self.max_investment)}

    def harm(self, state: RoundState, play: Play, outcome: Outcome, following: RoundState) -> Array:
        """What the partner would get without the investment, less what it gets."""
        mine = outcome.conduct["investment"]
        specific = self.specificity * self.marginal_return + self.complementarity * self.partner(mine)
        return -self.partner(self.power) * specific * mine

    # ------------------------------------------------------------------ theory

    def _row(self, value: Parameter) -> Array:
        row = np.asarray(value, dtype=np.float64).reshape(-1, np.shape(value)[-1] if np.ndim(value) else 1)
        if len(row) > 1:
            raise NotExact(f"a parameter of Holdup has {len(row)} worlds; allowed: one value per agent")
        return np.broadcast_to(row, (1, 2 * self.num_pairs))

    def _best(self, planned: bool) -> Array:
        """Investments `(1, N)` of the equilibrium, or of the planner: linear in the partner's.

        Without levels; `i = (A + G i_partner) / c`, solved pair by pair.
        """
        a, s, c = (self._row(v) for v in (self.marginal_return, self.specificity, self.cost))
        weight = np.ones_like(a) if planned else self.power
        own = a if planned else a * (1.0 - s * (1.0 - weight))
        slope = weight * self.complementarity
        scale = c * self.partner(c) - slope * self.partner(slope)
        if (scale <= 0.0).any():
            raise NotExact(
                f"complementarity is {self.complementarity}; allowed: below the cost of investment, "
                "else both invest without bound"
            )
        found = (own * self.partner(c) + slope * self.partner(own)) / scale
        if (found > self.max_investment).any():
            raise NotExact(
                f"investment would be {found.max():g}; allowed: at most the {self.max_investment:g} "
                "of max_investment"
            )
        return np.asarray(found, dtype=np.float64)

    def _choices(self) -> Array:
        return np.linspace(0.0, self.max_investment, self.levels or TRIED)

    def _gains(self, investment: Array, *, highest: bool = False) -> tuple[Array, Array]:
        """Gain of each agent's best deviation, and the lowest or highest such deviation, `(N,)` each."""
        choices, n = self._choices(), 2 * self.num_pairs
        gains, best = np.zeros(n), np.zeros(n)
        for agent in range(n):
            tried = np.repeat(investment, len(choices), axis=0)
            tried[:, agent] = choices
            payoff = self.payoff(tried)[:, agent]
            gains[agent] = payoff.max() - self.payoff(investment)[0, agent]
            best[agent] = choices[np.flatnonzero(payoff == payoff.max())[-1 if highest else 0]]
        return gains, best

    def _replies_from(self, start: float) -> Array:
        """Where best replies end: as investments are complements, at the lowest equilibrium from 0 and
        at the highest from the largest investment.
        """
        investment = np.full((1, 2 * self.num_pairs), start)
        while True:
            gains, best = self._gains(investment, highest=start > 0.0)
            if (gains < 1e-12).all():
                return investment
            investment = np.where(gains < 1e-12, investment, best[None, :])

    def _planned(self) -> Array:
        """The best levels of each pair, all tried."""
        choices, n = self._choices(), self.num_pairs
        require_memory(
            16.0 * n * len(choices) ** 2, f"a table of {len(choices)} x {len(choices)} investments"
        )
        one, two = (v.ravel() for v in np.meshgrid(choices, choices))
        total = self.payoff(np.repeat(np.stack([one, two], axis=1), n, axis=1))
        best = (total[:, :n] + total[:, n:]).argmax(axis=0)
        return np.concatenate([one[best], two[best]])[None, :]

    def references(self) -> References:
        """The equilibrium of a round, played in every round; the planner invests for the pair."""
        planned = self._best(planned=True)  # raises where the range of investments is too small
        discrete = bool(self.levels)
        kind: Kind = "enumeration" if discrete else "closed form"

        def stick(investment: Array, selection: str, *, equilibrium: bool) -> Yardstick:
            welfare = self.weight * float(self.payoff(investment).sum())
            gain = max(float(self._gains(investment)[0].max()), 0.0) if equilibrium else math.nan
            rule = Always(self, {"investment": investment})
            detail = {"investment": float(investment.mean())}
            return Yardstick(welfare, kind, 0.0, self.weight * gain, selection, rule, detail)

        nash = self._replies_from(0.0) if discrete else self._best(planned=False)
        which = "lowest equilibrium of the levels, in every round" if discrete else "the only equilibrium"
        selfish, others = stick(nash, which, equilibrium=True), {}
        highest = self._replies_from(self.max_investment) if discrete else nash
        if not np.allclose(highest, nash):
            others["highest equilibrium"] = stick(highest, "highest of the levels", equilibrium=True)
        planned = self._planned() if discrete else planned
        planner = stick(planned, "maximum of the sum", equilibrium=False)
        nothing = stick(np.zeros_like(nash), "", equilibrium=False)
        facts = {
            "investment in equilibrium": float(nash.mean()),
            "investment of the planner": float(planned.mean()),
        }
        low = min(nothing.welfare, selfish.welfare)
        return References(selfish, planner, planner.welfare - low, others=others, facts=facts)

    @classmethod
    def theory(cls) -> Iterable[Check]:
        """Half the return is held up; what is not specific is safe."""
        source = "derived: a (1 - s (1 - sigma)) / c"
        game = cls(num_pairs=1, levels=None)

        def reply(game: Holdup, other: float) -> float:  # the top of a parabola through three plays
            tried = np.array([[0.4, other], [0.5, other], [0.6, other]])
            low, middle, high = game.payoff(tried)[:, 0]
            return float(0.5 - 0.05 * (high - low) / (high - 2.0 * middle + low))

        yield Check("hold-up: investment under equal power", source, 0.5, reply(game, 0.3))
        general = replace(game, specificity=0.4)
        yield Check("hold-up: investment if 0.4 of it is specific", source, 0.8, reply(general, 0.3))
        strong = replace(game, bargaining_power=0.9)
        yield Check("hold-up: investment of the stronger party", source, 0.9, reply(strong, 0.3))
        found = game.references()
        yield Check("hold-up: W of a round, equilibrium", source, 0.75, found.selfish.welfare / game.rounds)
        yield Check("hold-up: W of a round, planner", source, 1.0, found.planner.welfare / game.rounds)
        # With gamma: i = (1 + gamma i) / 2 = 1 / (2 - gamma); the planner's is 1 / (1 - gamma).
        both = replace(game, complementarity=0.5)
        found = both.references()
        at = found.selfish.detail["investment"]
        yield Check("hold-up: complements, reply to the equilibrium", source, 2.0 / 3.0, reply(both, at))
        yield Check("hold-up: complements, planner", source, 2.0, found.planner.detail["investment"])
