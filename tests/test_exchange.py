"""Exchange: Walrasian equilibria and both welfare theorems, trading posts, property and fights."""

import dataclasses
import json

import numpy as np
import pytest
from scipy.optimize import minimize

from commonweal import Society, make
from commonweal.agents.scripted import scripted
from commonweal.envs.exchange import Exchange
from commonweal.envs.exchange_equilibrium import price_takers_arms
from commonweal.envs.walras import Economy
from commonweal.errors import InvalidParameter, NotExact
from commonweal.evaluation import evaluate
from commonweal.random import Streams, world_seeds


def exchange(**parameters) -> Exchange:
    found = make("exchange-v0", **parameters)
    assert isinstance(found, Exchange)
    return found


def economies(number=40):
    rng = np.random.default_rng(0)
    for _ in range(number):
        n, goods = rng.integers(2, 7), rng.integers(2, 6)
        weight = rng.dirichlet(np.full(goods, 2.0), n) * 0.9 + 0.1 / goods
        sigma = rng.choice([0.3, 0.5, 1.0, 2.0, 5.0], n)
        yield Economy(rng.random((n, goods)) * 3 + 0.01, weight, sigma)


# ------------------------------------------------------------------ Walras


def test_the_textbooks_prices():
    assert exchange(preset="cobb-douglas").prices == pytest.approx([0.631579, 1.0], abs=1e-6)


def test_demand_maximises_utility():
    for economy in economies(6):
        price, goods = np.linspace(0.5, 1.5, economy.endowment.shape[1]), economy.endowment.shape[1]
        income = economy.income(price)
        demand = economy.demand(price, income)
        assert demand @ price == pytest.approx(income)
        assert economy.price_index(price) * economy.utility(demand) == pytest.approx(income)
        shares = np.random.default_rng(1).dirichlet(np.ones(goods), 4000)
        near = demand[None] * (1 + 0.02 * np.random.default_rng(2).standard_normal((4000, *demand.shape)))
        for tried in (income[None, :, None] * shares[:, None] / price, near):
            tried = tried * (income / (tried @ price))[..., None]
            assert (economy.utility(tried) <= economy.utility(demand) + 1e-9).all()


def test_equilibria_clear_and_are_efficient():
    """First welfare theorem: marginal rates of substitution are the price ratios of all traders."""
    for economy in economies():
        price = economy.equilibrium()
        assert np.abs(economy.excess(price)).max() < 1e-8
        bundle = economy.demand(price, economy.income(price))
        step = 1e-6 * np.eye(len(price))[:, None, :] * bundle
        slope = economy.utility(bundle + step) - economy.utility(bundle - step)  # of each good in turn
        marginal = slope / np.diagonal(step, axis1=0, axis2=2).T / 2
        assert marginal / marginal[-1] == pytest.approx(np.tile(price[:, None], len(bundle)), rel=1e-5)


@pytest.mark.parametrize("economy", list(economies(3)))
def test_an_optimiser_finds_no_improvement(economy):
    n, goods = economy.endowment.shape
    price = economy.equilibrium()
    bundle = economy.demand(price, economy.income(price))
    floor, total = economy.utility(bundle), economy.endowment.sum(axis=0)
    start = np.append((0.9 * bundle + 0.1 * total / n).ravel(), -1.0)
    constraints = [
        {"type": "eq", "fun": lambda x: x[:-1].reshape(n, goods).sum(axis=0) - total},
        {"type": "ineq", "fun": lambda x: economy.utility(x[:-1].reshape(n, goods)) / floor - 1 - x[-1]},
    ]
    bounds = [(1e-6, None)] * (n * goods) + [(-2.0, 2.0)]
    found = minimize(
        lambda x: -x[-1], start, bounds=bounds, constraints=constraints, options={"maxiter": 500}
    )
    assert found.x[-1] > -1e-3  # it comes back to the equilibrium
    assert found.x[-1] < 1e-5  # and no further


def test_second_welfare_theorem():
    """Any efficient allocation is an equilibrium after a redistribution: of goods, or of money alone."""
    rng = np.random.default_rng(3)
    for economy in economies(20):
        n = len(economy.endowment)
        share = rng.dirichlet(np.ones(n))
        price = economy.equilibrium(share)
        target = economy.demand(price, economy.income(price, share))
        given = dataclasses.replace(economy, endowment=target)
        again = given.equilibrium()
        assert given.demand(again, given.income(again)) == pytest.approx(target, rel=1e-6)
        # Lump sums that leave all goods but the last where they are.
        moved = economy.endowment.copy()
        moved[:, -1] += target @ price - economy.endowment @ price
        assert moved.sum(axis=0) == pytest.approx(economy.endowment.sum(axis=0))
        if moved.min() >= 0:
            paid = dataclasses.replace(economy, endowment=moved)
            assert np.abs(paid.excess(price)).max() < 1e-7
            assert paid.demand(price, paid.income(price)) == pytest.approx(target, rel=1e-6)


def test_equilibria_by_share_maximise_the_weighted_product():
    economy = next(iter(economies()))
    n = len(economy.endowment)
    share = np.arange(1.0, n + 1) / np.arange(1.0, n + 1).sum()
    price = economy.equilibrium(share)
    best = share @ np.log(economy.utility(economy.demand(price, economy.income(price, share))))
    splits = np.random.default_rng(0).dirichlet(np.ones(n), (20_000, economy.endowment.shape[1]))
    tried = np.log(economy.utility(splits.swapaxes(1, 2) * economy.endowment.sum(axis=0))) @ share
    assert tried.max() < best


# ------------------------------------------------------------------ a round by hand


def test_trading_posts_by_hand():
    game = exchange(property_rights=1.0)
    holding = game.fight(np.zeros((1, 4)))
    bundle, turnover = game.trade(holding, np.array([[[-0.5], [0.5], [0.0], [0.25]]]))
    # 1.5 units are offered for 1.5 + 0.75 of money: the price is 1.5.
    assert bundle[0].tolist() == [[1.5, 3.25], [2.0, 1.5], [3.0, 1.0], [1.5, 2.25]]
    assert turnover.tolist() == [[2.25, 1.5, 0.0, 0.75]]
    only_bids, none = game.trade(holding, np.array([[[0.0], [0.5], [0.0], [0.25]]]))
    assert np.array_equal(only_bids, holding)
    assert (none == 0).all()


def test_bids_above_all_money_are_scaled_down():
    game = exchange(
        num_agents=2, endowments=((4.0, 4.0, 2.0), (0.0, 0.0, 3.0)), weights=((0.4, 0.3, 0.3),) * 2,
    )  # fmt: skip
    bundle, _ = game.trade(game.economy.endowment[None], np.array([[[-0.5, -0.25], [1.0, 0.5]]]))
    assert bundle[0].tolist() == [[2.0, 3.0, 5.0], [2.0, 1.0, 0.0]]


def test_fights_by_hand():
    game = exchange(num_agents=2, property_rights=0.5)
    fight = np.array([[0.5, 0.25], [0.0, 0.0], [0.0, 0.1]])
    holding = game.fight(fight)
    # Spared (1.5, 0.5) and (0.75, 2.25); half of it, (1.125, 1.375), goes two to one.
    assert holding[0] == pytest.approx(np.array([[1.5, 7 / 6], [0.75, 19 / 12]]))
    assert np.array_equal(holding[1], game.economy.endowment)
    assert holding[2] == pytest.approx(np.array([[1.5, 0.5], [0.9 + 1.5, 2.7 + 0.5]]))
    secure = exchange(num_agents=2, property_rights=1.0).fight(fight)
    assert secure[0] == pytest.approx(np.array([[1.5, 0.5], [0.75, 2.25]]))


def test_goods_are_neither_made_nor_lost_but_for_arms():
    rng = np.random.default_rng(0)
    game = exchange(num_agents=5, decisiveness=2.0, strength=(1.0, 2.0, 3.0, 1.0, 1.0), property_rights=0.2)
    fight, trade = rng.random((200, 5)), rng.uniform(-1, 1, (200, 5, 1))
    bundle, _ = game.trade(game.fight(fight), trade)
    spared = ((1 - fight)[..., None] * game.economy.endowment).sum(axis=1)
    assert bundle.sum(axis=1) == pytest.approx(spared)
    assert bundle.min() >= 0


def test_harm_is_the_loss_of_the_others_by_definition():
    game = exchange(num_agents=3, property_rights=0.3)
    rng, state = Streams(world_seeds(0, 1), 0), None
    state = game.initial(rng)
    play = {"fight": np.array([[0.4, 0.0, 0.2]]), "trade_1": np.array([[-0.5, 0.5, -0.1]])}
    following, outcome = game.step(state, play, rng)
    harm = game.harm(state, play, outcome, following)
    held = game.fight(play["fight"]) @ game.prices
    alone = game.fight(np.array([[0.0, 0.0, 0.2]])) @ game.prices
    assert harm[0, 0] == pytest.approx((alone - held)[0, 1:].sum())
    assert harm[0, 1] == 0.0
    last = {**play, "fight": np.array([[0.0, 0.0, 0.2]])}
    # The only fighter is what keeps the others from all that is theirs.
    assert game.harm(state, last, outcome, following)[0, 2] == pytest.approx(0.7 * game.wealth[:2].sum())


def test_arms_are_limited():
    game = exchange()
    play = {"fight": np.array([[0.5, 0.1, 1.0, 0.0]]), "trade_1": np.zeros((1, 4))}
    limited = game.limit(None, play, {"fighting": (0.0, 1.0)})
    assert limited["fight"].tolist() == [[0.25, 0.1, 0.25, 0.0]]


# ------------------------------------------------------------------ yardsticks


def test_zero_is_the_worst_of_those_found():
    found = exchange().references()
    assert found.selfish.welfare == pytest.approx(70.8539, abs=1e-4)
    assert found.others["trade"].welfare == pytest.approx(88.5939, abs=1e-4)
    for parameters in ({}, {"levels": None}, {"property_rights": 1.0}, {"num_agents": 2, "levels": 2}):
        found = exchange(**parameters).references()
        for other in found.others.values():
            if other.epsilon <= found.selfish.epsilon:
                assert other.welfare >= found.selfish.welfare - 1e-9


def check_small_economies(rng, number):
    """Every pure profile, played by `step`: the worst equilibrium, the planner, and who is no equilibrium."""
    for _ in range(number):
        n, levels = rng.integers(2, 4), int(rng.integers(2, 4))
        game = exchange(
            num_agents=int(n), levels=levels, rounds=1, property_rights=float(rng.choice([0, 0.25, 0.5, 1])),
            decisiveness=float(rng.choice([0.5, 1, 2])), weights=((0.3, 0.7), (0.6, 0.4)),
            endowments=tuple(tuple(row) for row in rng.integers(1, 5, (2, 2)) * 1.0),
            substitution=float(rng.choice([0.5, 1.0, 2.0])),
        )  # fmt: skip
        try:
            found = game.references()
        except NotExact:
            continue  # competitive bids above a trader's money
        fight, trade = (a.ravel() for a in np.meshgrid(range(levels), range(2 * levels - 1), indexing="ij"))
        step, acts = 1.0 / (levels - 1), len(fight)
        profiles = np.indices((acts,) * n).reshape(n, -1).T
        streams = Streams(world_seeds(0, len(profiles)), 0)
        play = {"fight": fight[profiles] * step, "trade_1": trade[profiles] * step - 1.0}
        money = game.step(game.initial(streams), play, streams)[1].money.reshape(*(acts,) * n, n)
        stable = np.ones((acts,) * n, bool)
        for i in range(n):
            stable &= money[..., i] >= money[..., i].max(axis=i, keepdims=True) - 1e-9
        total = money.sum(axis=-1)
        assert total.max() <= found.planner.welfare + found.planner.error + 1e-9
        for stick in (found.selfish, *found.others.values()):
            assert (stick.kind == "best known") == (stick.epsilon > 1e-9)
        if stable.any():
            assert found.selfish.welfare == pytest.approx(total[stable].min())
            assert found.selfish.epsilon <= 1e-9


def test_small_economies_by_trying_every_profile():
    check_small_economies(np.random.default_rng(0), 8)


@pytest.mark.slow
def test_many_small_economies_by_trying_every_profile():
    check_small_economies(np.random.default_rng(1), 80)


@pytest.mark.parametrize(
    "parameters",
    [{}, {"levels": None}, {"property_rights": 1.0}, {"num_agents": 3, "substitution": (0.5, 1.0, 2.0)}],
)
def test_the_rules_bring_their_welfare(parameters):
    game = exchange(**parameters)
    found = game.references()
    society = Society(game)
    for stick in (found.planner, found.selfish, found.others["trade"]):
        played = evaluate(society, scripted(society, stick)).welfare[0]
        assert played == pytest.approx(stick.welfare, rel=1e-9)


@pytest.mark.parametrize("levels", [21, None])
@pytest.mark.parametrize("rights", [0.0, 0.5, 1.0])
def test_no_act_beats_the_equilibrium(levels, rights):
    """Every pair of fight and trade of one trader, played by `step` against the others' acts."""
    game = exchange(property_rights=rights, levels=levels, rounds=1)
    found = game.references()
    count = 21 if levels else 201
    fight, trade = (
        a.ravel() for a in np.meshgrid(np.linspace(0, 1, count), np.linspace(-1, 1, 2 * count - 1))
    )
    fight, trade = np.rint(fight * 2000) / 2000, np.rint(trade * 2000) / 2000  # nothing is exactly nothing
    rng = Streams(world_seeds(0, len(fight)), 0)
    for stick in (found.selfish, found.others["trade"]):
        assert stick.kind == ("enumeration" if game.levels else "numerical")
        acts = {name: np.repeat(value, len(fight), axis=0) for name, value in stick.rule.values.items()}
        state = game.initial(rng)
        now = game.step(state, acts, rng)[1].money[0]
        for agent in range(4):
            tried = {name: value.copy() for name, value in acts.items()}
            tried["fight"][:, agent], tried["trade_1"][:, agent] = fight, trade
            best = game.step(state, tried, rng)[1].money[:, agent].max()
            assert best <= now[agent] + stick.epsilon + 1e-9


def test_no_play_beats_the_planner():
    for game in (exchange(), exchange(num_agents=3, endowments=((3, 1), (1, 5)), substitution=0.5)):
        planner = game.references().planner
        rng = np.random.default_rng(0)
        acts = np.concatenate(
            [rng.random((20_000, game.num_agents, 1)) ** 8, rng.uniform(-1, 1, (20_000, game.num_agents, 1))],
            axis=2,
        )
        assert game.weight * game.payoff(acts).sum(axis=1).max() <= planner.welfare + planner.error + 1e-9


def test_weak_property_makes_the_dilemma():
    """Where all is protected nobody arms and little is lost; the weaker property, the more is wasted."""
    lost, arms = [], []
    for rights in (1.0, 0.75, 0.5, 0.25, 0.0):
        found = exchange(property_rights=rights, levels=None).references()
        trading = found.others["trade"]
        lost.append(1 - trading.welfare / found.planner.welfare)
        arms.append(trading.detail["fight"])
    assert arms[0] == 0.0
    assert lost[0] < 0.06
    assert (np.diff(lost) > 0.1).all()
    assert (np.diff(arms) > 0.1).all()
    assert exchange().references().gap > 0.4 * exchange().references().planner.welfare


def test_market_power_vanishes_with_the_number_of_traders():
    lost = []
    for n in (4, 8, 16):
        found = exchange(num_agents=n, property_rights=1.0, levels=None).references()
        lost.append(1 - found.others["trade"].welfare / found.planner.welfare)
    assert lost[1] < lost[0] / 3
    assert lost[2] < lost[1] / 3
    assert lost[2] < 0.0025


def test_price_takers_arm_alike_and_the_poor_gain_on_the_rich():
    game = exchange(endowments=((3.0, 3.0), (2.0, 2.0)), weights=((0.5, 0.5),) * 2, levels=None)
    found = game.references()  # nothing to trade: all want both goods alike
    arms = found.selfish.rule.values["fight"] * game.wealth
    assert arms == pytest.approx(np.full((1, 4), price_takers_arms(game)), abs=1e-6)
    value = game.payoff(
        np.stack([found.selfish.rule.values[k][0] for k in ("fight", "trade_1")], axis=1)[None]
    )
    assert value[0, 0] / value[0, 1] < game.wealth[0] / game.wealth[1]
    with pytest.raises(NotExact, match="poorest"):
        price_takers_arms(exchange(endowments=((9.0, 9.0), (1.0, 1.0))))


def test_where_arms_decide_all_some_fight_and_others_do_not():
    game = exchange(num_agents=8, decisiveness=2.0)
    found = game.references().selfish
    assert found.epsilon == 0.0
    assert set(found.rule.values["fight"].ravel().tolist()) == {0.0, 1.0}
    with pytest.raises(NotExact, match="decisiveness"):
        price_takers_arms(game)
    price_takers_arms(exchange(num_agents=8, decisiveness=1.0))


def test_theory():
    for check in Exchange.theory():
        assert check.passed, check


def test_worlds_may_differ_in_property_rights():
    game = exchange(property_rights=np.array([0.0, 1.0]))
    society = Society(game, num_worlds=2)
    step = society.step({"citizens": np.tile([10.0, 20.0], (2, 4, 1))})
    assert step.money[0] == pytest.approx(step.money[1].sum() / 4 * np.ones(4), rel=0.5)
    one = Society(game, num_worlds=2).step({"citizens": np.array([[[10.0, 20.0]] + [[0.0, 20.0]] * 3] * 2)})
    assert one.money[0, 1] == 0.0  # unprotected and unarmed
    assert one.money[1, 1] > 0.0
    with pytest.raises(NotExact, match="world"):
        game.references()


def test_tables_go_to_json_and_back():
    game = exchange(
        num_agents=3, endowments=((3, 1, 2), (1, 3, 2)), weights=((0.3, 0.3, 0.4), (0.6, 0.2, 0.2))
    )
    society = Society(game)
    again = Society.from_dict(json.loads(json.dumps(society.to_dict())))
    assert repr(again) == repr(society)
    assert again.dilemma.prices == pytest.approx(game.prices)


def test_refusals():
    with pytest.raises(InvalidParameter, match="sum 1"):
        exchange(weights=((0.3, 0.3), (0.5, 0.5)))
    with pytest.raises(InvalidParameter, match="goods"):
        exchange(endowments=((1.0, 2.0), (1.0,)))
    with pytest.raises(InvalidParameter, match="0 to 1"):
        exchange(property_rights=1.5)
    with pytest.raises(InvalidParameter, match="every good"):
        exchange(num_agents=1, endowments=((1.0, 0.0), (0.0, 1.0)))
    with pytest.raises(NotExact, match="money"):
        exchange(endowments=((3, 1, 2), (1, 3, 2)), weights=((0.1, 0.8, 0.1), (0.6, 0.2, 0.2))).references()


def test_a_contest_that_decides_next_to_nothing_divides_equally():
    """The others' power overflowed, and no reference was left."""
    for decisiveness in (1e-12, 1e-6, 1e-3):
        game = exchange(num_agents=3, decisiveness=decisiveness)
        arms = price_takers_arms(game)
        k = decisiveness * (1.0 - float(game.property_rights)) * 2.0 / 3.0
        wealth, rest = game.wealth.sum() / 3.0, (1.0 + 2.0 * game.property_rights) / 3.0
        assert arms == pytest.approx(wealth * k / (k + rest))
        assert game.references().facts["arms of a price taker"] == arms
