"""Signalling: every signal and every bid tried in play; waste, and when there is none."""

import numpy as np
import pytest

from commonweal import Society, institution, make
from commonweal.agents.scripted import scripted
from commonweal.envs.signalling import Signalling
from commonweal.errors import InvalidParameter, NotExact
from commonweal.evaluation import evaluate
from commonweal.random import Streams, world_seeds

FREE = {"signal_levels": None, "wage_levels": None}


def signalling(**parameters) -> Signalling:
    found = make("signalling-v0", **parameters)
    assert isinstance(found, Signalling)
    return found


def test_theory():
    for check in Signalling.theory():
        assert check.passed, check


@pytest.mark.parametrize("name", ["costly separation", "pooling", "least-cost separation", "costly pooling"])
def test_no_signal_and_no_bid_pays_more(name):
    """One worker; its candidate of either type tries every signal, and one firm every bid."""
    game = signalling(num_workers=1)
    found = game.references()
    yardstick = found.others.get(name, found.selfish)  # the most costly one is the worst
    assert yardstick.epsilon == pytest.approx(0.0, abs=1e-9)
    levels = np.linspace(0, 2, 21)
    worlds = len(levels)

    def firms(shown):
        seen = {
            "shown": np.repeat(shown, 2, axis=1)[:, :, None],
            "progress": np.full((len(shown), 2, 1), 0.1),
        }
        return yardstick.rule(seen, None)["wage"] * 0.1

    def own(ability):
        seen = {"ability": np.full((1, 1, 1), ability), "progress": np.zeros((1, 1, 1))}
        return float(yardstick.rule(seen, None)["signal"][0, 0] * 0.1)

    def life(ability, signals):
        rng = Streams(world_seeds(0, len(signals)), 0)
        state = game.initial(rng)
        state.ability = np.full((len(signals), 1), ability)
        sent = np.asarray(signals, float)[:, None]
        state, first = game.step(state, {"signal": sent, "wage": np.zeros((len(sent), 2))}, rng)
        _, second = game.step(state, {"signal": 0 * sent, "wage": firms(state.signal)}, rng)
        return first.money[:, 0] + second.money[:, 0]

    for ability in (1.0, 2.0):
        assert life(ability, levels).max() <= life(ability, [own(ability)])[0] + 1e-9

    # The expected profit of a bid, given who sends the signal that is seen. Profit with equal bids is
    # half: the mean over many lots.
    for shown, mean in {own(1.0): 1.0, own(2.0): 2.0}.items() if "sep" in name else ((own(1.0), 1.5),):
        usual = firms(np.full((1, 1), shown))[0, 0]
        for bid in levels:
            wins = 1.0 if bid > usual + 1e-9 else 0.5 * (abs(bid - usual) < 1e-9)
            assert wins * (mean - bid) <= 0.5 * (mean - usual) + 1e-9
    assert worlds == 21


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"discount": 0.9, **FREE},
        {"signal_cost": (0.8, 1.0, 1.25, 2.0) + (0.0,) * 8, "share_high": 0.3},
        {"low_ability": 0.97, "high_ability": 1.83, "max_signal": 1.9},
    ],
)
def test_the_rules_are_worth_what_is_said(parameters):
    game = signalling(**parameters)
    found = game.references()
    society = Society(game, num_worlds=3000)
    for yardstick in (found.selfish, found.planner, *found.others.values()):
        welfare = evaluate(society, scripted(society, yardstick), seed=3).welfare
        assert abs(welfare.mean() - yardstick.welfare) <= 4 * welfare.std() / np.sqrt(3000) + 1e-9
    assert found.selfish.kind != "best known"
    assert found.selfish.welfare < found.planner.welfare


def test_signals_that_cost_nothing_waste_nothing():
    assert signalling(signal_cost=0.0).references().gap == 0.0
    assert signalling(share_high=0.0).references().gap == 0.0
    # The waste does not depend on the price of the signal, only on what it must deter.
    for k in (0.5, 1.0, 2.0):
        found = signalling(signal_cost=k, max_signal=4.0, **FREE).references()
        assert found.gap == pytest.approx(10 * 4 * 0.5 * 1.0)
        least = found.others["least-cost separation"]
        assert found.planner.welfare - least.welfare == pytest.approx(10 * 4 * 0.5 * 0.5)


def test_zero_is_the_worst_of_the_equilibria_found():
    found = signalling().references()
    assert found.selfish.welfare == pytest.approx(40.0)
    assert {name: one.welfare for name, one in found.others.items()} == pytest.approx(
        {"pooling": 60.0, "least-cost separation": 50.0, "costly pooling": 45.0}
    )
    # No admitted signal separates: all send what is admitted, lest they be held for unproductive.
    short = signalling(max_signal=0.4).references()
    assert short.selfish.detail["signal"] == pytest.approx(0.4)
    assert short.selfish.epsilon == 0.0
    # The most costly signal of the productive is out of range, so that pooling wastes more.
    clipped = signalling(max_signal=1.0, share_high=0.25).references()
    assert clipped.selfish.welfare < min(one.welfare for one in clipped.others.values())


def test_levels_on_which_no_signal_separates_leave_pooling():
    coarse = signalling(signal_levels=2, max_signal=5.0).references()
    assert coarse.selfish.welfare == pytest.approx(60.0)
    assert coarse.selfish.kind == "closed form"


def test_two_rounds_by_hand():
    game, rng = signalling(num_workers=1), Streams(world_seeds(0, 1), 0)
    state = game.initial(rng)
    state.ability = np.full((1, 1), 2.0)
    state, outcome = game.step(state, {"signal": np.ones((1, 1)), "wage": np.ones((1, 2))}, rng)
    assert outcome.money[0].tolist() == [-0.5, 0.0, 0.0]  # nobody to hire yet; the signal costs 1 / 2
    state, outcome = game.step(state, {"signal": np.zeros((1, 1)), "wage": np.array([[1.6, 1.2]])}, rng)
    assert outcome.money[0] == pytest.approx([1.6, 0.4, 0.0])


def test_a_ban_on_signals_is_the_first_best_if_firms_still_bid():
    society = Society(make("signalling-v0"), [institution("quota", base="signal", limit=0.0)], num_worlds=10)
    actions = society.columns.null_actions(10)
    actions["workers"][:] = 20
    step = society.step(actions)
    assert (step.conduct["signal"] == 0).all()
    assert (step.welfare == 0).all()


def test_refusals():
    with pytest.raises(InvalidParameter, match="firms_per_worker"):
        signalling(firms_per_worker=1)
    with pytest.raises(InvalidParameter, match="high_ability"):
        signalling(high_ability=1.0)
    with pytest.raises(NotExact, match="per world"):
        signalling(signal_cost=np.ones(3)).references()
