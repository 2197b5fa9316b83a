"""Two-sided dilemmas at random parameters: every joint play and every deviation, by `step` itself."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from commonweal import make
from commonweal.errors import InvalidParameter, NotExact
from tests.exact_play import POINTS, Even, Nodes, by_rule, crossed, options, returns

ROUNDING = 2e-5  # what a rule takes for equal, since observations are single precision; relative to W
MAKERS = ("moral_hazard-v0", "employment-v0", "screening-v0", "lemons-v0", "signalling-v0", "holdup-v0")


@dataclass
class Move:
    """What some agents may do instead, and on what they may condition it.

    Attributes:
        columns: name of each column and the place of its agent in the group.
        tried: all combinations, `(D, C)`, physical values.
        agent: whose gain it is; None: everybody's.
        key: `(B,)` what is known to those who act; None: nothing.
        last: whether it concerns what stands in the last round, too.
    """

    columns: list
    tried: np.ndarray
    agent: int | None
    key: np.ndarray | None = None
    last: bool = True


def chance(game, trials):
    """Even draws, or nodes of the noise in `trials` copies."""
    if game.id == "employment-v0":
        return Nodes(trials, len(game.noise))
    rivals = {"lemons-v0": "buyers_per_seller", "signalling-v0": "firms_per_worker"}.get(game.id)
    fine = game.id == "lemons-v0" and game.price_levels is None  # qualities end anywhere
    return Even(trials, getattr(game, rivals) if rivals else 1, POINTS * 10 if fine else POINTS)


def weights(game):
    return chance(game, 1).mass if game.id == "employment-v0" else np.ones(chance(game, 1).num_worlds)


def values(game, rule, move=None):
    """Expected returns by trial and world, `(D, B, N)`."""
    if move is None:
        return returns(game, rule, chance(game, 1))[None]
    trials, worlds = len(move.tried), chance(game, 1).num_worlds

    def change(play, state):
        if move.last or state.round[0, 0] < game.rounds - 1:
            for c, (column, place) in enumerate(move.columns):
                play[column] = np.array(play[column], float)
                play[column][:, place] = np.repeat(move.tried[:, c], worlds)

    return returns(game, rule, chance(game, trials), change).reshape(trials, worlds, -1)


def best(game, rule, move):
    """The largest expected return that the move can bring, conditioned on its key."""
    found, mass = values(game, rule, move), weights(game) / weights(game).sum()
    own = found.sum(axis=2) if move.agent is None else found[..., move.agent]
    key = np.zeros(len(mass)) if move.key is None else move.key
    parts = [np.where(key == k, mass, 0.0) for k in np.unique(key)]
    return sum(float((own @ part).max()) for part in parts)


def mean(game, rule):
    """Expected returns `(N,)` under the rule alone."""
    mass = weights(game)
    return np.einsum("b,bn->n", mass / mass.sum(), values(game, rule)[0])


# ------------------------------------------------------------------ the moves of each dilemma


def offers_and_answers(game, rule, offer, answer, share=1):
    """Principals post `offer`, workers `answer` it; each worker has `share` principals."""
    posted, answered = crossed(*options(game, *offer)), crossed(*options(game, *answer))
    number = game.num_workers
    for i in range(number * share):
        yield Move([(name, i) for name in offer], posted, i)
    for w in range(number):
        yield Move([(name, w) for name in answer], answered, number * share + w)
    for w in range(number):
        everybody = [(name, w * share + p) for p in range(share) for name in offer] + [(n, w) for n in answer]
        yield Move(everybody, crossed(*options(game, *list(offer) * share, *answer)), None)


def moves(game, rule):
    """Every agent's deviations, and every joint play of each market for the planner."""
    if game.id == "moral_hazard-v0":
        yield from offers_and_answers(game, rule, game.columns, ("accept", "effort"))
    elif game.id == "employment-v0":
        offer = ["wage", *(f"slope_{j + 1}" for j in range(game.measured))]
        answer = ["accept", *(f"effort_{j + 1}" for j in range(len(game.benefit)))]
        yield from offers_and_answers(game, rule, offer, answer, game.principals_per_worker)
    else:
        yield from OTHER_MOVES[game.id](game, rule)


def screening_moves(game, rule):
    state = game.initial(chance(game, 1))
    menu = crossed(*options(game, "quantity_1", "price_1", "quantity_2", "price_2"))
    columns = ("quantity_1", "price_1", "quantity_2", "price_2")
    for k in range(game.num_sellers):
        yield Move([(name, k) for name in columns], menu, k)
        items = np.arange(3.0)[:, None]
        yield Move([("item", k)], items, game.num_sellers + k, state.taste[:, k])
        # For the planner: what one item brings at either taste; the other item is for the other taste.
        (quantity,) = options(game, "quantity_1")
        each = crossed(quantity, items[:2, 0])
        yield Move([("quantity_1", k), ("item", k)], each, None, state.taste[:, k])


def lemons_moves(game, rule):
    state, (price,) = game.initial(chance(game, 1)), options(game, "ask")
    sellers, rivals = game.num_sellers, game.buyers_per_seller
    for k in range(sellers):
        quality = state.quality[:, k]
        yield Move([("ask", k)], price[:, None], k, quality)
        for b in range(k * rivals, (k + 1) * rivals):
            yield Move([("bid", b)], price[:, None], sellers + b)
        yield Move([("ask", k), ("bid", k * rivals)], crossed(price, price), None, quality)


def signalling_moves(game, rule):
    state = game.initial(chance(game, 1))
    sent = by_rule(game, rule, state)["signal"]
    signal, wage = options(game, "signal", "wage")
    for w in range(game.num_workers):
        yield Move([("signal", w)], signal[:, None], w, state.ability[:, w], last=False)
        yield Move([("signal", w)], signal[:, None], None, state.ability[:, w], last=False)
        for f in range(w * game.firms_per_worker, (w + 1) * game.firms_per_worker):
            yield Move([("wage", f)], wage[:, None], game.num_workers + f, sent[:, w])


def holdup_moves(game, rule):
    (level,) = options(game, "investment")
    for i in range(2 * game.num_pairs):
        yield Move([("investment", i)], level[:, None], i)
    for k in range(game.num_pairs):
        yield Move([("investment", k), ("investment", k + game.num_pairs)], crossed(level, level), None)


OTHER_MOVES = {
    "screening-v0": screening_moves, "lemons-v0": lemons_moves,
    "signalling-v0": signalling_moves, "holdup-v0": holdup_moves,
}  # fmt: skip


# ------------------------------------------------------------------ parameters


def parameters(name, rng):
    """Small admissible parameters; probabilities are multiples of 1 / 20."""

    def number(low, high):
        return float(rng.uniform(low, high))

    def level(*allowed):
        return int(rng.choice(allowed))

    n = level(1, 1, 2, 3)

    def side(low, high, first, second):  # one value, or one for each agent of the second side
        if rng.integers(2):
            return number(low, high)
        return (number(low, high),) * first + tuple(rng.uniform(low, high, second).tolist())

    def chances(size):
        parts = rng.multinomial(20, np.ones(size) / size)
        return tuple((parts / 20.0).tolist())

    drawn = {
        "moral_hazard-v0": lambda k, a: {
            "num_workers": n, "value": tuple(np.sort(rng.uniform(-0.2, 3, k)).tolist()),
            "probability": tuple(chances(k) for _ in range(a)),
            "toil": (0.0, *rng.uniform(0, 0.4, a - 1).tolist()),
            "risk_aversion": (0.0, side(0, 6, n, n))[level(0, 1)], "outside_option": side(-0.3, 0.9, n, n),
            "min_wage": number(-1, 0.2), "max_wage": number(0.5, 2), "wage_levels": level(2, 3, 5),
        },
        "employment-v0": lambda k, p: {
            "num_workers": n, "principals_per_worker": p, "benefit": tuple(rng.uniform(0.2, 2, k).tolist()),
            "noise": tuple(rng.uniform(0, 1.5, level(1, k) if p == 1 else 1).tolist()),
            "rivalry": number(0, 0.8), "intrinsic": level(0, 1) * number(0, 1),
            "risk_aversion": side(0, 4, n * p, n), "effort_cost": side(0.3, 2, n * p, n),
            "outside_option": side(-0.5, 0.8, n * p, n), "max_wage": number(0.3, 1.5),
            "max_slope": number(0.3, 1.5), "max_effort": number(0.5, 2),
            "wage_levels": level(*(2, 3, 6)[: 4 - p]),
            "slope_levels": (4, 3, 2)[p - 1], "effort_levels": level(2, 3, 8 // k),
        },
        "screening-v0": lambda low, m: {
            "num_sellers": n, "low_taste": low, "high_taste": low + (0.0, number(0, 1))[level(0, 1, 1)],
            "share_high": (*[0.0] * n, *(rng.integers(0, 21, n) / 20.0).tolist()),
            "cost": (*rng.uniform(0.3, 2, n).tolist(), *[1.0] * n), "max_quantity": number(0.5, 2),
            "max_price": number(0.5, 3), "quantity_levels": level(2, 3, 4), "price_levels": level(2, 4, 5),
        },
        "lemons-v0": lambda low, m: {
            "num_sellers": n, "buyers_per_seller": m, "price_levels": 13,
            # Qualities begin and end at levels, so that midpoints integrate without error.
            **(lambda k, l: {"premium": k, "lowest_quality": l / 12 * k, "highest_quality": 1.0})(
                *((1.0, 3.0), (1.5, 2.0), (2.0, 0.0), (1.5, 0.0), (3.0, 1.0), (1.2, 5.0))[level(*range(6))]
            ),
        },
        "signalling-v0": lambda low, m: {
            "num_workers": n, "firms_per_worker": level(2, 3), "low_ability": low,
            "high_ability": low + number(0.1, 2), "share_high": level(*range(21)) / 20.0,
            "signal_cost": (0.0, side(0.3, 2, 0, n))[level(0, 1, 1, 1)], "max_signal": number(0.5, 5),
            "signal_levels": level(2, 3, 11), "wage_levels": level(2, 3, 11),
        },
        "holdup-v0": lambda low, m: {
            "num_pairs": n, "marginal_return": tuple(rng.uniform(0, 1.5, 2 * n).tolist()),
            "specificity": tuple(rng.uniform(0, 1, 2 * n).tolist()), "bargaining_power": number(0, 1),
            "complementarity": number(0, 0.5), "cost": tuple(rng.uniform(0.8, 2, 2 * n).tolist()),
            "max_investment": 5.0, "levels": level(2, 3, 8),
        },
    }[name]  # fmt: skip
    first = {"moral_hazard-v0": level(2, 3), "employment-v0": level(1, 1, 2)}.get(name, number(0.2, 2))
    found = drawn(first, level(2, 3) if name == "moral_hazard-v0" else level(1, 1, 1, 2, 2, 3))
    if name == "signalling-v0" and isinstance(found["signal_cost"], tuple):
        found["signal_cost"] += (1.0,) * (n * found["firms_per_worker"])
    discount = (0.0, 1.0, number(0.3, 1))[level(0, 1, 1, 1, 2, 2, 2)]
    return found | {"rounds": level(1, 2, 2, 3, 3), "discount": discount}


def continuous(name, rng):
    """The same without levels, in ranges in which more have a closed form."""
    drawn = parameters(name, rng)
    wide = {
        "moral_hazard-v0": {"risk_aversion": 0.0},
        "employment-v0": {"max_wage": 3.0, "max_slope": 3.0, "max_effort": 6.0},
        "screening-v0": {"max_quantity": 8.0, "max_price": 20.0},
        "lemons-v0": {"lowest_quality": float(rng.uniform(0, 0.9)), "premium": float(rng.uniform(1, 2.5))},
    }.get(name, {})
    return drawn | wide | {column: None for column in drawn if column.endswith("levels")}


SLOW = [pytest.param(seed, marks=pytest.mark.slow) for seed in range(6, 60)]


@pytest.mark.parametrize("seed", [*range(6), *SLOW])
@pytest.mark.parametrize("name", MAKERS)
def test_planner_and_equilibria_are_those_of_brute_force(name, seed):
    holds(name, parameters(name, np.random.default_rng(seed)), ROUNDING)


@pytest.mark.parametrize("seed", [*range(3), *SLOW])
@pytest.mark.parametrize("name", MAKERS)
def test_no_play_and_no_deviation_does_better_where_acts_are_continuous(name, seed):
    holds(name, continuous(name, np.random.default_rng(seed)), 3e-3 if name == "lemons-v0" else ROUNDING)


@pytest.mark.parametrize("money", [1e-5, 1e6])
@pytest.mark.parametrize("free", [False, True])
def test_rules_keep_to_their_terms_in_any_unit_of_money(money, free):
    """Levels that single precision cannot hold; what is equally good is so relative to what is paid."""
    m, many = money, {"rounds": 2}
    cases = {
        "moral_hazard-v0": {
            "value": (0.0, m), "toil": (0.0, 0.09 * m, 0.27 * m), "max_wage": m, "outside_option": 0.1 * m,
            "wage_levels": 8,
        },
        "screening-v0": {
            "low_taste": m, "high_taste": 1.5 * m, "cost": m, "max_price": 3 * m, "price_levels": 8,
        },
        "employment-v0": {
            "benefit": (m,), "risk_aversion": 0.0, "effort_cost": m, "max_wage": m, "max_slope": 1.1 * m,
            "wage_levels": 8,
        },
        "signalling-v0": {
            "low_ability": m, "high_ability": 1.7 * m, "signal_cost": m, "max_signal": 3.0,
            "signal_levels": 8, "wage_levels": 8,
        },
    }  # fmt: skip
    for name, drawn in cases.items():
        levels = {c: None for c in vars(make(name)) if c.endswith("levels")} if free else {}
        game = make(name, **many, **(drawn | levels))
        found = game.references()
        for one in (found.selfish, found.planner, *found.others.values()):
            assert mean(game, one.rule).sum() == pytest.approx(one.welfare, rel=1e-4, abs=1e-9 * money), name


@pytest.mark.parametrize("name", MAKERS)
def test_a_single_level_is_refused_where_it_is_given(name):
    for column in vars(make(name)):
        if column.endswith("levels"):
            with pytest.raises(InvalidParameter, match=f"{column} is 1; allowed: None or 2 to"):
                make(name, **{column: 1})


def holds(name, drawn, rounding):
    """Yardsticks are worth what they say, no joint play beats the planner, epsilon is the largest gain."""
    game = make(name, **drawn)
    try:
        found = game.references()
    except NotExact:
        return
    for one in (found.selfish, found.planner, *found.others.values()):
        assert mean(game, one.rule).sum() == pytest.approx(one.welfare, abs=rounding * (1 + abs(one.welfare)))
    # One employment, one sale: all rounds are alike.
    once = replace(game, rounds=1 if name in ("lemons-v0", "holdup-v0") else 2)
    found = once.references()
    rounding *= 1.0 + abs(found.planner.welfare)
    for move in moves(once, found.planner.rule):
        if move.agent is None:
            assert best(once, found.planner.rule, move) <= found.planner.welfare + rounding
    for label, one in {"selfish": found.selfish, **found.others}.items():
        own = mean(once, one.rule)
        gains = [best(once, one.rule, m) - own[m.agent] for m in moves(once, one.rule) if m.agent is not None]
        # Levels are all tried; of continuous acts, a few.
        assert max(gains) <= one.epsilon + rounding, label
        assert one.kind == "best known" or one.epsilon <= rounding, label
        if all(action.space.size for action in once.actions()):
            assert max(gains) >= one.epsilon - rounding, label
        if one.epsilon <= rounding:
            assert found.selfish.kind != "best known"
            assert found.selfish.welfare <= one.welfare + rounding
