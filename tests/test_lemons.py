"""Lemons: unravelling, every bid and ask tried in play, and when the market does not unravel."""

import numpy as np
import pytest

from commonweal import Society, institution, make
from commonweal.agents.scripted import scripted
from commonweal.envs.lemons import Lemons, LemonsState
from commonweal.errors import InvalidParameter, NotExact
from commonweal.evaluation import evaluate
from commonweal.random import Streams, world_seeds

PARTS = 1000


def lemons(**parameters) -> Lemons:
    found = make("lemons-v0", **parameters)
    assert isinstance(found, Lemons)
    return found


def market(game, ask, bids, low=0.0, high=1.0):
    """Mean money `(N,)` of one seller's market over a fine grid of qualities; `ask(quality)`."""
    quality = low + (high - low) * (np.arange(PARTS)[:, None] + 0.5) / PARTS
    state = LemonsState(np.zeros((PARTS, 1)), quality, np.zeros((PARTS, len(bids))))
    play = {"ask": ask(quality), "bid": np.tile(bids, (PARTS, 1))}
    _, outcome = game.step(state, play, Streams(world_seeds(0, PARTS), 0))
    return outcome.money.mean(axis=0)


def test_theory():
    for check in Lemons.theory():
        assert check.passed, check


def test_nothing_is_traded_although_everything_should_be():
    for rivals in (1, 2, 3):
        found = lemons(buyers_per_seller=rivals).references()
        assert found.selfish.welfare == 0.0
        assert found.selfish.detail == {"price": 0.0, "share traded": 0.0}
        assert found.planner.welfare == pytest.approx(10 * 4 * 0.25)
        assert found.selfish.epsilon == 0.0


@pytest.mark.parametrize("rivals", [1, 2])
@pytest.mark.parametrize("low", [0.0, 0.2])
def test_no_bid_and_no_ask_pays_more(rivals, low):
    game = lemons(num_sellers=1, buyers_per_seller=rivals, lowest_quality=low, price_levels=31)
    found = game.references().selfish
    price, step = found.detail["price"], 0.05

    def truthful(quality):
        return np.ceil(quality / step - 1e-9) * step

    levels = np.linspace(0, 1.5, 31)
    own = market(game, truthful, [price] * rivals, low)
    for bid in levels:
        # A lot decides between equal bids: its noise is far below the loss of a wrong bid.
        tried = market(game, truthful, [bid] + [price] * (rivals - 1), low)
        assert tried[1] <= own[1] + (3e-3 if rivals > 1 else 1e-9)
    for ask in levels[::3]:  # asking the quality is dominant: it beats every fixed ask against every bid
        for bid in levels[::6]:
            fixed = market(game, lambda quality, ask=ask: np.full_like(quality, ask), [bid] * rivals, low)
            assert fixed[0] <= market(game, truthful, [bid] * rivals, low)[0] + 1e-12


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"price_levels": None, "lowest_quality": 0.2},
        {"lowest_quality": 0.3, "buyers_per_seller": 2},
        {
            "num_sellers": 2,
            "lowest_quality": (0.1, 0.4, 0.0, 0.0),
            "premium": (1.0, 1.0, 1.3, 1.9),
            "price_levels": None,
        },
    ],
)
def test_the_rules_are_worth_what_is_said(parameters):
    game = lemons(**parameters)
    found = game.references()
    society = Society(game, num_worlds=3000)
    for yardstick in (found.selfish, found.planner, *found.others.values()):
        welfare = evaluate(society, scripted(society, yardstick), seed=3).welfare
        assert abs(welfare.mean() - yardstick.welfare) <= 4 * welfare.std() / np.sqrt(3000) + 1e-9
    assert 0 <= found.selfish.welfare <= found.planner.welfare


def test_a_large_premium_or_known_quality_saves_the_market():
    for rivals in (1, 2):
        saved = lemons(premium=2.5, buyers_per_seller=rivals, price_levels=None).references()
        assert saved.gap == pytest.approx(0.0)
        nearly_known = lemons(lowest_quality=0.99, buyers_per_seller=rivals, price_levels=None).references()
        assert nearly_known.gap == pytest.approx(0.0)
    shares = [lemons(lowest_quality=low, price_levels=None).references().selfish.detail["share traded"]
              for low in (0.0, 0.1, 0.2, 0.4)]  # fmt: skip
    assert shares == sorted(shares)
    assert shares[-1] > shares[0] == 0.0


def test_at_the_edge_of_the_dilemma_all_prices_are_as_good_and_zero_is_the_worst():
    """k = 2, l = 0: the winner gains nothing at any price, so that no trade is an equilibrium, too."""
    for rivals in (1, 2):
        found = lemons(premium=2.0, buyers_per_seller=rivals, price_levels=None).references()
        assert found.selfish.welfare == 0.0
        assert found.others["best equilibrium"].welfare == pytest.approx(found.planner.welfare)


def test_a_round_by_hand():
    game = lemons(num_sellers=2, buyers_per_seller=2)
    state = LemonsState(np.zeros((1, 1)), np.array([[0.4, 0.9]]), np.zeros((1, 4)))
    play = {"ask": np.array([[0.4, 0.9]]), "bid": np.array([[0.3, 0.5, 0.8, 0.7]])}
    _, outcome = game.step(state, play, Streams(world_seeds(0, 1), 0))
    # The second buyer pays 0.5 for a good of 0.4, worth 0.6 to it; the other good stays unsold.
    assert outcome.money[0] == pytest.approx([0.1, 0.0, 0.0, 0.1, 0.0, 0.0])
    assert outcome.conduct["trade"][0].tolist() == [1, 0, 0, 1, 0, 0]


def test_a_cap_on_asks_makes_sellers_sell():
    society = Society(make("lemons-v0"), [institution("quota", base="ask", limit=0.0)], num_worlds=500)
    actions = society.columns.null_actions(500)
    actions["sellers"][:] = 30
    step = society.step(actions)
    assert (step.conduct["trade"] == 1).all()
    assert step.welfare.mean() == pytest.approx(1.0, abs=0.05)


def test_refusals():
    with pytest.raises(InvalidParameter, match="above lowest_quality"):
        lemons(lowest_quality=1.0)
    with pytest.raises(InvalidParameter, match="premium"):
        lemons(premium=0.5)
    with pytest.raises(NotExact, match="equal buyers"):
        lemons(num_sellers=1, buyers_per_seller=2, premium=(1.0, 1.2, 1.5)).references()
