"""A society: one dilemma, a flat list of institutions, `B` worlds at once. The only step loop."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from inspect import signature
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonweal import registry
from commonweal.columns import Columns, Group
from commonweal.constitution import Constitution
from commonweal.envs.base import Dilemma, Outcome, Play
from commonweal.errors import CorruptCheckpoint, InvalidAction, UnknownName, require
from commonweal.institutions.base import Charter, Institution, Turn
from commonweal.ledger import Ledger
from commonweal.random import Streams, world_seeds
from commonweal.stages import Agenda
from commonweal.state import check_arrays, from_arrays, not_finite, put, select, to_arrays
from commonweal.storage import write_arrays
from commonweal.typed import fit

Array = NDArray[np.float64]
Bool = NDArray[np.bool_]

# Phases of the random numbers within a step, one for each hook; stages come on top.
RESET, DILEMMA, DELIBERATE, PERMIT, SETTLE = range(5)


@dataclass
class Transition:
    """What a step returns. `B` worlds, `n` agents of a group, `N` citizens, `A` agents.

    Attributes:
        observation: by group, `(B, n, D)` float32, already of the next episode where one ended.
        reward: by group, `(B, n)`.
        terminated: the dilemma ended the episode, `(B,)`.
        truncated: the time limit ended it, `(B,)`; the learner bootstraps.
        discount: what multiplies the future, `(B,)`: the discount after a play, 1 in other stages.
        final_observation: by group, the observation before the reset; None while no world ended.
        mask: by group, allowed options `(B, n, M)` bool (see `Group.mask_size`); None: all allowed.
        conduct: what was observably done, by name.
        money: what the dilemma paid, `(B, N)`.
        ledger: the payments of the step.
        welfare: sum of the citizens' utilities, the weighted treasury flow and the surplus of those
            outside, `(B,)`.
    """

    observation: dict[str, NDArray[np.float32]]
    reward: dict[str, Array]
    terminated: Bool
    truncated: Bool
    discount: Array
    final_observation: dict[str, NDArray[np.float32]] | None
    mask: dict[str, Bool] | None
    conduct: dict[str, Array]
    money: Array
    ledger: Ledger
    welfare: Array

    @property
    def done(self) -> Bool:
        """`(B,)`: the episode ended."""
        return self.terminated | self.truncated


@dataclass
class _Memory:
    """Everything that changes from step to step and belongs to a world."""

    stage: NDArray[np.int64]
    plays: NDArray[np.int64]
    ending: Bool
    wealth: Array
    treasury: Array
    episode: NDArray[np.int64]


class Society:
    """One dilemma under institutions, stepped in a batch.

    Args:
        dilemma: the dynamics.
        institutions: the layers, innermost first.
        num_worlds: B.
        seed: an integer, or one 64-bit seed per world `(B,)`.
        time_limit: plays after which an episode is truncated; the dilemma's own by default.
        credit: how far an agent's wealth may fall below zero through payments; what exceeds it is
            a shortfall. Infinite by default, so that incentives are those of the theory.
        endowment: wealth at the start of an episode.
        treasury_weight: weight of a unit of money in the treasury in W.
        autoreset: start the next episode within the step that ends one.
    """

    def __init__(
        self,
        dilemma: Dilemma,
        institutions: Iterable[Institution] = (),
        *,
        num_worlds: int = 1,
        seed: int | NDArray[np.uint64] = 0,
        time_limit: int | None = None,
        credit: float = np.inf,
        endowment: float = 0.0,
        treasury_weight: float = 1.0,
        autoreset: bool = True,
    ) -> None:
        num_worlds = fit("num_worlds", num_worlds, int)
        time_limit = fit("time_limit", time_limit, int | None)
        require(isinstance(dilemma, Dilemma), "dilemma", dilemma, "a Dilemma; commonweal.make builds one")
        listed = isinstance(institutions, Iterable) and not isinstance(institutions, Set)  # it has no order
        stack = list(institutions) if listed else []  # once: it may be a generator
        fitting = listed and all(isinstance(inst, Institution) for inst in stack)
        require(
            fitting, "institutions", stack or institutions, "a list of Institutions, also of a single one"
        )
        require(num_worlds >= 1, "num_worlds", num_worlds, "at least 1")
        require(time_limit is None or time_limit >= 1, "time_limit", time_limit, "None or >= 1")
        unlimited = isinstance(credit, float) and credit == np.inf
        require(unlimited or fit("credit", credit, float) >= 0, "credit", credit, "0 or more")
        require(seed is not None, "seed", seed, "a whole number, 0 or more")
        self.dilemma = dilemma
        self.institutions = stack
        self.num_worlds = num_worlds
        self.time_limit = dilemma.time_limit if time_limit is None else time_limit
        self.credit = float(credit)
        self.endowment = fit("endowment", endowment, float)
        self.treasury_weight = fit("treasury_weight", treasury_weight, float)
        self.autoreset = fit("autoreset", autoreset, bool)
        require(autoreset or num_worlds == 1, "num_worlds without autoreset", num_worlds, "1")
        self.constitution = Constitution(dilemma, self.institutions, num_worlds)
        self.charter: Charter = self.constitution.charter
        self.columns = Columns(dilemma, self.institutions, self.charter)
        self.groups: dict[str, Group] = self.columns.groups
        self.agenda = Agenda(self.institutions, self.columns)
        self._hooks = {
            hook: [
                inst
                for inst in self.institutions
                if getattr(type(inst), hook) is not getattr(Institution, hook)
            ]
            for hook in ("deliberate", "govern", "permit", "settle", "announce", "excluded", "reward")
        }
        self._names = [inst.address for inst in self.institutions]
        self.reset(seed)
        self._gaps = not_finite(self.get_state())

    # ------------------------------------------------------------------ start and restart

    def reset(self, seed: int | NDArray[np.uint64] | None = None) -> dict[str, NDArray[np.float32]]:
        """Start every world anew; a seed restarts the random numbers. Returns the observations."""
        if seed is not None:
            self.seeds = self._world_seeds(seed)
            owners = [Streams(self.seeds, 1 + i) for i in range(len(self.institutions))]
            self._dilemma_rng = Streams(self.seeds, 0)
            self._rngs = dict(zip(self._names, owners, strict=True))
            self.age = np.zeros(self.num_worlds, np.int64)
        else:
            self.age = self.age + 1
        everyone = np.arange(self.num_worlds)
        self.memory = _Memory(
            stage=np.zeros(self.num_worlds, np.int64),
            plays=np.zeros(self.num_worlds, np.int64),
            ending=np.zeros(self.num_worlds, bool),
            wealth=np.full((self.num_worlds, self.charter.num_agents), self.endowment),
            treasury=np.zeros(self.num_worlds),
            episode=np.zeros(self.num_worlds, np.int64),
        )
        self.state, self.states = self._initial(everyone)
        self.memory.stage = self.agenda.first(self.memory.plays)
        self.observation = self._observe()
        self.mask = self._mask()
        return _copied(self.observation)

    def _world_seeds(self, seed: int | NDArray[np.uint64]) -> NDArray[np.uint64]:
        if isinstance(seed, np.ndarray):
            require(seed.shape == (self.num_worlds,), "seed", seed.shape, f"({self.num_worlds},)")
            whole = seed.dtype.kind in "iu" and bool((seed >= 0).all())
            require(whole, "seed", seed, "whole numbers, 0 or more")
            return seed.astype(np.uint64)
        whole = isinstance(seed, int | np.integer) and seed >= 0
        require(whole, "seed", seed, "a whole number, 0 or more")
        return world_seeds(int(seed), self.num_worlds)

    def _initial(self, index: NDArray[np.intp]) -> tuple[Any, dict[str, Any]]:
        """Fresh states of the worlds `index`; parameters per world make it draw for all and take."""
        rng = self._dilemma_rng.begin(self.age, RESET)
        state = self.constitution.initial_dilemma(rng, index)
        states = {}
        for inst in self.institutions:
            rng = self._rngs[inst.address].begin(self.age, RESET)
            states[inst.address] = self.constitution.initial_institution(inst, rng, index)
        return state, states

    def _restart(self, done: Bool) -> None:
        index = np.flatnonzero(done)
        state, states = self._initial(index)
        self.state = put(self.state, index, state)
        self.states = {name: put(self.states[name], index, states[name]) for name in self.states}
        memory = self.memory
        memory.plays[index] = 0
        memory.ending[index] = False
        memory.wealth[index] = self.endowment
        memory.treasury[index] = 0.0
        memory.episode[index] += 1
        memory.stage[index] = self.agenda.first(memory.plays[index])

    # ------------------------------------------------------------------ the loop

    def step(self, actions: Mapping[str, Array]) -> Transition:
        """Advance every world by one stage.

        Args:
            actions: by group, `(B, n, C)`: indices for choices and levels, values otherwise.

        Raises:
            InvalidAction: wrong groups, shape, NaN or out of range; nothing has changed then.
        """
        if not self.autoreset and self._over():
            raise InvalidAction("the episode is over; call reset() first")
        actions = self.columns.read(actions)
        if self.mask is not None:
            actions = self.columns.only_allowed(actions, self.mask)
        owned = self.columns.split(actions)
        before = self.state, self.states
        try:
            turn, outcome, advance = self._hold(owned)
        except BaseException:  # of a part that is no part of this package, or Ctrl-C: as if not called
            self.state, self.states = before
            raise
        return self._conclude(turn, outcome, advance)

    def _hold(self, owned: dict[str, dict[str, Array]]) -> tuple[Turn, Outcome, Bool]:
        """Run the stages that worlds are in; also returns which worlds have played."""
        memory = self.memory
        funds = memory.wealth + self.credit if np.isfinite(self.credit) else None
        ledger = Ledger(self.num_worlds, self.charter.num_agents, self.charter.num_citizens, funds)
        outcome = Outcome(np.zeros((self.num_worlds, self.charter.num_citizens)), {})
        conduct: dict[str, Array] = {}
        advance = np.zeros(self.num_worlds, bool)
        self.states = dict(self.states)
        for stage, round_, where in self.agenda.present(memory.stage):
            turn = Turn(
                self.charter, stage, round_, memory.plays, memory.wealth, memory.treasury, ledger,
                self.states, self._dilemma_rng, conduct=conduct, money=outcome.money,
            )  # fmt: skip
            if stage == "deliberate":
                self._deliberate(turn, owned, where)
                continue
            if stage == "play":
                outcome = self._play(turn, owned, where)
                advance = np.ones(self.num_worlds, bool) if where is None else where
            self._settle(turn, owned, where)
            conduct = turn.conduct
        return turn, outcome, advance

    def _over(self) -> bool:
        return bool((self.memory.stage < 0).any())

    def _deliberate(self, turn: Turn, owned: dict[str, dict[str, Array]], where: Bool | None) -> None:
        phase = DELIBERATE + 5 * turn.round
        for inst in self._hooks["deliberate"]:
            due = self.agenda.due(inst, self.memory.plays)
            self._run("deliberate", inst, turn, owned, phase, due if where is None else due & where)
        self._govern(turn, owned, where)

    def _govern(self, turn: Turn, owned: dict[str, dict[str, Array]], where: Bool | None) -> None:
        for inst in self._hooks["govern"]:
            turn.actions = owned.get(inst.address, {})
            writes = inst.govern(self.states[inst.address], turn)
            self.constitution.write(self.states, writes, where)

    def _play(self, turn: Turn, owned: dict[str, dict[str, Array]], where: Bool | None) -> Outcome:
        play: Play = owned["dilemma"]
        self._govern(turn, owned, where)
        for inst in self._hooks["permit"]:
            turn.actions = owned.get(inst.address, {})
            turn.rng = self._rngs[inst.address].begin(self.age, PERMIT)
            bounds = inst.permit(self.states[inst.address], turn)
            if bounds:
                play = self.dilemma.limit(self.state, play, bounds)
        rng = self._dilemma_rng.begin(self.age, DILEMMA)
        following, outcome = self.dilemma.step(self.state, play, rng)
        if self.constitution.needs_harm:
            outcome.conduct["harm"] = self.dilemma.harm(self.state, play, outcome, following)
        if where is not None:
            following = select(where, following, self.state)
            outcome.money = outcome.money * where[:, None]
            if outcome.outside is not None:
                outcome.outside = outcome.outside * where
            for name, done in outcome.conduct.items():
                outcome.conduct[name] = done * where.reshape((-1,) + (1,) * (done.ndim - 1))
        self.state = following
        turn.money, turn.conduct = outcome.money, outcome.conduct
        if turn.ledger.funds is not None:  # what is earned in a play can be paid in it
            turn.ledger.funds[:, : self.charter.num_citizens] += outcome.money
        return outcome

    def _settle(self, turn: Turn, owned: dict[str, dict[str, Array]], where: Bool | None) -> None:
        phase = SETTLE + 5 * (1 + turn.round if turn.stage == "respond" else 0)
        for inst in self._hooks["settle"]:
            self._run("settle", inst, turn, owned, phase, where)

    def _run(
        self, hook: str, inst: Institution, turn: Turn, owned: dict[str, dict[str, Array]],
        phase: int, where: Bool | None,
    ) -> None:  # fmt: skip
        """Run a hook that returns a state, in effect only in the worlds `where`."""
        name = inst.address
        turn.actions = owned.get(name, {})
        turn.rng = self._rngs[name].begin(self.age, phase)
        turn.ledger.institution = name
        turn.ledger.active = where
        shown = dict(turn.conduct) if where is not None else {}
        new = getattr(inst, hook)(self.states[name], turn)
        if where is not None:
            self._confine(turn.conduct, shown, where)
        self.states[name] = new if where is None else select(where, new, self.states[name])

    @staticmethod
    def _confine(conduct: dict[str, Array], shown: Mapping[str, Array], where: Bool) -> None:
        """Keep what a hook has appended to the `conduct` that was `shown` to the worlds `where`."""
        for name, value in conduct.items():
            before = shown.get(name)
            if value is not before:
                here = where.reshape((-1,) + (1,) * (value.ndim - 1))
                conduct[name] = np.where(here, value, 0.0 if before is None else before)

    def _conclude(self, turn: Turn, outcome: Outcome, advance: Bool) -> Transition:
        """Utility, wealth, time limit, autoreset and the next observation."""
        memory, n, ledger = self.memory, self.charter.num_citizens, turn.ledger
        money = outcome.money
        utility = self.dilemma.utility(self.state, outcome, money + ledger.net[:, :n])
        if self.agenda.staged and advance.any() and not advance.all():
            # What a play causes is felt only where there was one.
            idle = self.dilemma.utility(self.state, Outcome(0.0 * money, {}), ledger.net[:, :n])
            utility = np.where(advance[:, None], utility, idle)
        memory.wealth = memory.wealth + ledger.net
        memory.wealth[:, :n] += money
        memory.treasury = memory.treasury + ledger.treasury
        reward = {
            name: utility[:, group.agents] if group.citizens else ledger.net[:, group.agents]
            for name, group in self.groups.items()
        }
        for inst in self._hooks["reward"]:
            for name, extra in inst.reward(self.states[inst.address], utility, turn).items():
                reward[name] = reward[name] + extra
        welfare = utility.sum(axis=1) + self.treasury_weight * ledger.treasury
        if outcome.outside is not None:
            welfare = welfare + outcome.outside
        memory.plays = memory.plays + advance
        self.age = self.age + advance
        if outcome.terminated is not None:
            memory.ending = memory.ending | (outcome.terminated & advance)
        memory.stage, over = self.agenda.next(memory.stage, memory.plays)
        terminated = memory.ending & over
        truncated = np.zeros(self.num_worlds, bool)
        if self.time_limit is not None:
            truncated = over & (memory.plays >= self.time_limit) & ~terminated
        discount = np.where(advance, self.charter.discount, 1.0)
        done = terminated | truncated
        final = None
        if done.any():
            final = self._observe()
            if self.autoreset:
                self._restart(done)
            else:
                memory.stage = np.where(done, -1, memory.stage)
        self.observation = final if final is not None and not self.autoreset else self._observe()
        self.mask = self._mask()
        # Copies: policies are shown the originals, and the next step enforces the mask.
        seen, last, mask = (
            _copied(self.observation),
            final and _copied(final),
            self.mask and _copied(self.mask),
        )
        return Transition(
            seen, reward, terminated, truncated, discount, last, mask, turn.conduct, money, ledger, welfare
        )

    def _observe(self) -> dict[str, NDArray[np.float32]]:
        values = {"dilemma": self.dilemma.observe(self.state)}
        for inst in self._hooks["announce"]:
            values[inst.address] = inst.announce(self.states[inst.address], self.charter)
        if self.agenda.staged:
            values["stage"] = self.agenda.announce(self.memory.stage)
        return self.columns.observe(values, self.num_worlds)

    def _mask(self) -> dict[str, Bool] | None:
        if not self.agenda.staged and not self._hooks["excluded"]:
            return None
        mask = self.agenda.mask(self.memory.stage, self.memory.plays)
        for inst in self._hooks["excluded"]:
            excluded = inst.excluded(self.states[inst.address])
            if excluded is not None:
                self.columns.exclude(mask, excluded)
        return mask

    # ------------------------------------------------------------------ save, restore, describe

    def get_state(self) -> dict[str, NDArray[Any]]:
        """Everything that changes, as arrays by name."""
        arrays = to_arrays(self.state, "dilemma") | to_arrays(self.memory, "society")
        for name, state in self.states.items():
            arrays |= to_arrays(state, f"institution.{name}")
        return arrays | {"seeds": self.seeds.copy(), "age": self.age.copy()}

    def set_state(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Restore what `get_state` returned.

        Raises:
            CorruptCheckpoint: a name is missing, a shape or kind other, a stage or clock out of range,
                a number not finite that is so at the start, or nothing can be seen from it; nothing has
                changed then.
        """
        ranges = {"society.stage": (-1, self.agenda.last)}  # -1: over
        ranges |= dict.fromkeys(("society.plays", "society.episode", "age"), (0, 2**31))
        check_arrays(arrays, self.get_state(), ranges, self._gaps)
        before = dict(vars(self))
        try:
            self._restore(dict(arrays))
        except BaseException as error:
            vars(self).update(before)
            self._reseed()
            if isinstance(error, Exception):
                raise CorruptCheckpoint(f"a state from which nothing can be seen: {error!r}") from error
            raise

    def _restore(self, given: dict[str, NDArray[Any]]) -> None:
        self.seeds = np.array(given["seeds"], np.uint64)
        self.age = np.array(given["age"], np.int64)
        self._reseed()
        self.memory = from_arrays(self.memory, "society", given)
        self.state = from_arrays(self.state, "dilemma", given)
        self.states = {
            name: from_arrays(state, f"institution.{name}", given) for name, state in self.states.items()
        }
        self.observation = self._observe()
        self.mask = self._mask()

    def _reseed(self) -> None:
        for stream in (self._dilemma_rng, *self._rngs.values()):
            stream.seeds = self.seeds

    def save(self, path: str) -> None:
        """Write configuration and state to an `.npz` file, atomically and without pickle."""
        config = np.array(json.dumps(self.to_dict()))
        write_arrays(path, {**self.get_state(), "config": config})

    @classmethod
    def load(cls, path: str) -> Society:
        """The society that `save` wrote, in mid-episode."""
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            config = json.loads(str(arrays.pop("config")))
            society = cls.from_dict(config)
        except FileNotFoundError:
            raise
        except Exception as error:
            raise CorruptCheckpoint(f"{path} is not a readable society: {error}") from error
        society.set_state(arrays)
        return society

    def to_dict(self) -> dict[str, Any]:
        """The configuration as plain JSON values."""
        return {
            "dilemma": registry.describe(self.dilemma),
            "institutions": [registry.describe(inst) for inst in self.institutions],
            "num_worlds": self.num_worlds,
            "time_limit": self.time_limit,
            "credit": None if np.isinf(self.credit) else self.credit,
            "endowment": self.endowment,
            "treasury_weight": self.treasury_weight,
            "autoreset": self.autoreset,
        }

    @classmethod
    def from_dict(cls, config: Mapping[str, Any], seed: int | NDArray[np.uint64] = 0) -> Society:
        """The society that `to_dict` described, at its start with `seed`."""
        known = [name for name in signature(cls).parameters if name != "seed"]
        require(isinstance(config, Mapping), "a society", config, f"a table of {', '.join(known)}")
        for name in config:
            if name not in known:
                raise UnknownName("option of a society", name, known)
        options = dict(config)
        dilemma = registry.dilemma_from(options.pop("dilemma", None))
        stack = options.pop("institutions", None)
        require(isinstance(stack, list | tuple), "institutions", stack, "a list of tables")
        institutions = [registry.institution_from(plain) for plain in stack]
        if options.get("credit") is None:
            options["credit"] = np.inf
        return cls(dilemma, institutions, seed=seed, **options)

    def __repr__(self) -> str:
        inside = repr(self.dilemma)
        for inst in self.institutions:
            inside = f"{inst!r}<{inside}>"
        return f"Society<{inside}>(num_worlds={self.num_worlds})"


def _copied(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {name: array.copy() for name, array in arrays.items()}
