"""A society: one dilemma, a flat list of institutions, `B` worlds at once. The only step loop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonweal import saving
from commonweal.columns import Columns, Group
from commonweal.constitution import Constitution
from commonweal.envs.base import Dilemma, Outcome, Play
from commonweal.errors import CorruptCheckpoint, InvalidAction, require
from commonweal.hooks import PHASES, Hooks
from commonweal.institutions.base import Charter, Institution, Turn
from commonweal.ledger import Ledger, shares
from commonweal.random import Streams, seeds_of
from commonweal.stages import Agenda
from commonweal.state import check_arrays, from_arrays, not_finite, put, select, to_arrays
from commonweal.storage import write_arrays
from commonweal.transition import Memory, Transition, copied
from commonweal.typed import LAST, fit

Array = NDArray[np.float64]
Bool = NDArray[np.bool_]


class Society:
    """One dilemma under institutions, stepped in a batch.

    Args:
        dilemma: the dynamics.
        institutions: the layers, innermost first.
        num_worlds: B.
        seed: an integer, or one 64-bit seed per world `(B,)`.
        time_limit: plays after which an episode is truncated; the dilemma's own by default.
        step_limit: steps after which it is truncated, those of every stage counted; None: no such limit.
        credit: how far an agent's wealth may fall below zero through payments; what exceeds it is
            a shortfall. Infinite by default, so that incentives are those of the theory.
        endowment: wealth at the start of an episode.
        treasury_weight: weight in W of a unit of money that the treasury takes in, from 0 to 1: above, W
            would have no bound. What it pays out beyond that counts in full.
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
        step_limit: int | None = None,
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
        step_limit = fit("step_limit", step_limit, int | None)
        require(step_limit is None or step_limit >= 1, "step_limit", step_limit, "None or >= 1")
        unlimited = isinstance(credit, float) and credit == np.inf
        require(unlimited or fit("credit", credit, float) >= 0, "credit", credit, "0 or more")
        require(seed is not None, "seed", seed, "a whole number, 0 or more")
        self.dilemma = dilemma
        self.institutions = stack
        self.num_worlds = num_worlds
        self.time_limit = dilemma.time_limit if time_limit is None else time_limit
        self.step_limit = step_limit
        self.credit = float(credit)
        self.endowment = fit("endowment", endowment, float)
        self.treasury_weight = fit("treasury_weight", treasury_weight, float)
        require(0.0 <= self.treasury_weight <= 1.0, "treasury_weight", treasury_weight, "0 to 1")
        self.autoreset = fit("autoreset", autoreset, bool)
        require(autoreset or num_worlds == 1, "num_worlds without autoreset", num_worlds, "1")
        self.constitution = Constitution(dilemma, self.institutions, num_worlds)
        self.charter: Charter = self.constitution.charter
        self.columns = Columns(dilemma, self.institutions, self.charter)
        self.groups: dict[str, Group] = self.columns.groups
        self.agenda = Agenda(self.institutions, self.columns)
        self._floor = dilemma.subsistence
        if step_limit is not None and not self.agenda.staged:  # each step is a play
            self.time_limit = min(step_limit, self.time_limit or step_limit)
        self.hooks = Hooks(self.institutions)
        self._everybody = np.ones((num_worlds, self.charter.num_citizens), bool)
        self._everybody.setflags(write=False)
        self.reset(seed)
        self._gaps = not_finite(self.get_state())

    # ------------------------------------------------------------------ start and restart

    def reset(self, seed: int | NDArray[np.uint64] | None = None) -> dict[str, NDArray[np.float32]]:
        """Start every world anew; a seed restarts the random numbers. Returns the observations."""
        seeds = None if seed is None else seeds_of(seed, self.num_worlds)
        before = self._before()
        try:
            self._start(seeds)
        except BaseException:
            self._revert(before)
            raise
        return copied(self.observation)

    def _start(self, seeds: NDArray[np.uint64] | None) -> None:
        if seeds is not None:
            self._seed(seeds)
            self.age = np.zeros(self.num_worlds, np.int64)
        else:
            self.age = self.age + 1
        worlds = np.arange(self.num_worlds)
        self.state, self.states = self._initial(worlds)
        self.memory = self._fresh(np.zeros(self.num_worlds, np.int64))
        self._look()

    def _fresh(self, episode: NDArray[np.int64]) -> Memory:
        """The memory of worlds at the start of their `episode (b,)`."""
        worlds, nothing = len(episode), np.zeros(len(episode), np.int64)
        return Memory(
            stage=self.agenda.first(nothing),
            steps=nothing,
            plays=nothing.copy(),
            ending=np.zeros(worlds, bool),
            wealth=np.full((worlds, self.charter.num_agents), self.endowment),
            purse=np.zeros((worlds, self.charter.num_citizens)),
            public=np.zeros(worlds),
            treasury=np.zeros(worlds),
            episode=episode,
        )

    # What begins with `_before` happens whole, or, where a part fails or Ctrl-C is heard, not at all.

    def _before(self) -> dict[str, Any]:
        """All that may change; arrays are never changed in place, memories are."""
        before = self.__dict__.copy()
        if "memory" in before:
            self.memory = self.memory.copy()
        return before

    def _revert(self, before: dict[str, Any]) -> None:
        """Be again what `_before` has found."""
        self.__dict__.clear()
        self.__dict__.update(before)

    def _seed(self, seeds: NDArray[np.uint64]) -> None:
        self.seeds = seeds
        self._dilemma_rng = Streams(seeds, 0)
        self.hooks = copy(self.hooks)  # what is kept is not reseeded
        self.hooks.reseed(seeds)

    def _initial(self, index: NDArray[np.intp]) -> tuple[Any, dict[str, Any]]:
        """Fresh states of the worlds `index`; parameters per world make it draw for all and take."""
        reset = PHASES["reset"]
        rng = self._dilemma_rng.begin(self.age, reset)
        state = self.constitution.initial_dilemma(rng, index)
        states = {}
        for inst in self.institutions:
            rng = self.hooks.rngs[inst.address].begin(self.age, reset)
            states[inst.address] = self.constitution.initial_institution(inst, rng, index)
        return state, states

    def _restart(self, done: Bool) -> None:
        index = np.flatnonzero(done)
        state, states = self._initial(index)
        self.state = put(self.state, index, state)
        self.states = {name: put(self.states[name], index, states[name]) for name in self.states}
        self.memory = put(self.memory, index, self._fresh(self.memory.episode[index] + 1))

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
        before = self._before()
        try:
            return self._conclude(*self._hold(owned))
        except BaseException:
            self._revert(before)
            raise

    def _hold(self, owned: dict[str, dict[str, Array]]) -> tuple[Turn, Outcome, Bool]:
        """Run the stages that worlds are in; also returns which worlds have played."""
        memory = self.memory
        worlds, n = self.num_worlds, self.charter.num_citizens
        present = None if self._absent is None else ~self._absent
        ledger = Ledger(worlds, self.charter.num_agents, n, self._funds(), present)
        if present is None:
            present = self._everybody
        outcome = Outcome(np.zeros((worlds, n)), {})
        conduct: dict[str, Array] = {}
        played = np.zeros(worlds, bool)
        self.states = dict(self.states)
        for stage, round_, where in self.agenda.present(memory.stage):
            turn = Turn(
                self.charter, stage, round_, memory.plays, memory.wealth, memory.treasury, ledger, present,
                self.states, conduct=conduct, money=outcome.money,
            )  # fmt: skip
            if stage == "deliberate":
                self._deliberate(turn, owned, where)
                continue
            if stage == "play":
                outcome = self._play(turn, owned, where)
                played = np.ones(worlds, bool) if where is None else where
            for inst in self.hooks.having["settle"]:
                self.states[inst.address] = self._call("settle", inst, turn, owned, where)
        return turn, outcome, played

    def _funds(self) -> Array | None:
        """What each agent can pay with before the play, `(B, A)`; None: without bound."""
        memory, n, floor = self.memory, self.charter.num_citizens, self._floor
        funds = None if self.credit == np.inf else memory.wealth + self.credit
        if floor is not None and self.institutions:
            funds = np.full_like(memory.wealth, np.inf) if funds is None else funds
            funds[:, :n] = np.minimum(funds[:, :n], memory.purse - floor)
        return funds

    def _over(self) -> bool:
        return bool((self.memory.stage < 0).any())

    def _deliberate(self, turn: Turn, owned: dict[str, dict[str, Array]], where: Bool | None) -> None:
        for inst in self.hooks.having["deliberate"]:
            due = self.agenda.due(inst, self.memory.plays)
            due = due if where is None else due & where
            self.states[inst.address] = self._call("deliberate", inst, turn, owned, due)
        self._govern(turn, owned, where)

    def _govern(self, turn: Turn, owned: dict[str, dict[str, Array]], where: Bool | None) -> None:
        for inst in self.hooks.having["govern"]:
            self.constitution.write(self.states, self._call("govern", inst, turn, owned, where), where)

    def _play(self, turn: Turn, owned: dict[str, dict[str, Array]], where: Bool | None) -> Outcome:
        play: Play = owned["dilemma"]
        self._govern(turn, owned, where)
        for inst in self.hooks.having["permit"]:
            bounds = self._call("permit", inst, turn, owned, where)
            if bounds:
                play = self.dilemma.limit(self.state, play, bounds)
        rng = self._dilemma_rng.begin(self.age, PHASES["step"])
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
        turn.money = outcome.money
        turn.conduct.update(outcome.conduct)
        if turn.ledger.funds is not None:  # what is earned in a play can be paid in it
            turn.ledger.funds[:, : self.charter.num_citizens] += outcome.money
        return outcome

    def _call(
        self, hook: str, inst: Institution, turn: Turn, owned: dict[str, dict[str, Array]],
        where: Bool | None,
    ) -> Any:  # fmt: skip
        name = inst.address
        return self.hooks.call(hook, inst, self.states[name], turn, owned.get(name, {}), self.age, where)

    def _felt(self, had: Array, has: Array, played: Bool) -> Array:
        """What the citizens feel of a step, `(B, N)`, in which the round's money went from `had` to `has`.

        Utility is of all that a round brings. Where it is money plus something, a payment is felt when it
        is made. Where it is not, what is paid before a play is felt with the play, and what is paid after it
        in the stage in which it is paid, as the difference that it makes.
        """
        felt = self.dilemma.utility(self.state, has)
        if not self.agenda.staged:
            return felt
        if self.dilemma.quasilinear:
            return np.where(played[:, None], felt, has - had)
        after = (self.memory.stage > self.agenda.play)[:, None]
        change = felt - self.dilemma.utility(self.state, had) if after.any() else 0.0
        return np.where(played[:, None], felt, np.where(after, change, 0.0))

    def _welfare(
        self, utility: Array, outcome: Outcome, ledger: Ledger, had: Array, has: Array, played: Bool
    ) -> Array:
        """W of the step, `(B,)`.

        What reaches the treasury and the officials is the citizens' in the end. Where utility is not
        linear in money it must be felt as money, or W would rise by taking it from the rich.
        """
        memory, floor, total = self.memory, self._floor, utility.sum(axis=1)
        if outcome.outside is not None:
            total = total + outcome.outside
        if not ledger.entries and not memory.public.any():
            return total
        public = ledger.treasury
        if self.treasury_weight < 1.0:
            public = np.minimum(public, self.treasury_weight * public)
        if self.charter.officials:
            public = public + ledger.net[:, self.charter.num_citizens :].sum(axis=1) - ledger.time
        if floor is None:
            return total + public
        if not public.any() and not memory.public.any():
            return total
        now = memory.public + public
        had, has = had + shares(memory.public, had - floor), has + shares(now, has - floor)
        if self.agenda.staged:
            memory.public = now
        return total + (self._felt(had, has, played) - utility).sum(axis=1)

    def _conclude(self, turn: Turn, outcome: Outcome, played: Bool) -> Transition:
        """Utility, wealth, limits, autoreset and the next observation."""
        memory, n, ledger = self.memory, self.charter.num_citizens, turn.ledger
        had, has = memory.purse, outcome.money + ledger.net[:, :n]
        if self.agenda.staged and not self.dilemma.quasilinear:
            memory.purse = has = had + has
        utility = self._felt(had, has, played)
        reward = {
            name: utility[:, group.agents] if group.citizens else ledger.net[:, group.agents]
            for name, group in self.groups.items()
        }
        ledger.closed = True
        for inst in self.hooks.having["reward"]:
            for name, extra in inst.reward(self.states[inst.address], utility, turn).items():
                reward[name] = reward[name] + extra
        memory.wealth = memory.wealth + ledger.net
        memory.wealth[:, :n] += outcome.money
        memory.treasury = memory.treasury + ledger.treasury
        welfare = self._welfare(utility, outcome, ledger, had, has, played)
        terminated, truncated = self._advance(outcome, played)
        discount = np.full(self.num_worlds, self.charter.discount)
        if self.agenda.staged:
            discount[~played] = 1.0
        done = terminated | truncated
        final = None
        if done.any():
            final = self._observe()
            if self.autoreset:
                self._restart(done)
            else:
                memory.stage = np.where(done, -1, memory.stage)
        self._look(final if not self.autoreset else None)
        # Copies: policies are shown the originals, and the next step enforces the mask.
        seen, last = copied(self.observation), final and copied(final)
        mask = self.mask and copied(self.mask)
        return Transition(
            seen, reward, terminated, truncated, discount, played, last, mask,
            turn.conduct, outcome.money, ledger, welfare,
        )  # fmt: skip

    def _advance(self, outcome: Outcome, played: Bool) -> tuple[Bool, Bool]:
        """Move clocks and stages on; which worlds the model, and which a limit has ended, `(B,)` each."""
        memory = self.memory
        memory.plays = memory.plays + played
        self.age = self.age + played
        if outcome.terminated is not None:
            memory.ending = memory.ending | (outcome.terminated & played)
        memory.stage, over = self.agenda.next(memory.stage, memory.plays)
        if self.agenda.staged and not self.dilemma.quasilinear:
            memory.purse = np.where(over[:, None], 0.0, memory.purse)
            memory.public = np.where(over, 0.0, memory.public)
        limit = np.zeros(self.num_worlds, bool)
        if self.time_limit is not None:
            limit = over & (memory.plays >= self.time_limit)
        if self.step_limit is not None:
            memory.steps = memory.steps + 1
            limit = limit | (memory.steps >= self.step_limit)
        terminated = memory.ending & (over | limit)
        return terminated, limit & ~terminated

    def _look(self, observation: dict[str, NDArray[np.float32]] | None = None) -> None:
        """Take in what there is to see now, who is not there, and what is allowed."""
        self.observation = self._observe() if observation is None else observation
        self._absent = self._excluded()
        self.mask = self._mask()

    def _observe(self) -> dict[str, NDArray[np.float32]]:
        values = {"dilemma": self.dilemma.observe(self.state)}
        for inst in self.hooks.having["announce"]:
            values[inst.address] = inst.announce(self.states[inst.address], self.charter)
        if self.agenda.staged:
            values["stage"] = self.agenda.announce(self.memory.stage)
        return self.columns.observe(values, self.num_worlds)

    def _excluded(self) -> Bool | None:
        """Citizens who are not there, `(B, N)`; None: all are."""
        absent = None
        for inst in self.hooks.having["excluded"]:
            excluded = inst.excluded(self.states[inst.address])
            if excluded is not None:
                absent = excluded if absent is None else absent | excluded
        return absent

    def _mask(self) -> dict[str, Bool] | None:
        if not self.agenda.staged and not self.hooks.having["excluded"]:
            return None
        mask = self.agenda.mask(self.memory.stage, self.memory.plays)
        if self._absent is not None:
            self.columns.exclude(mask, self._absent)
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
            CorruptCheckpoint: a name is missing or unknown, a shape or kind other, a stage or clock out of
                range, a number not finite that is so at the start, or nothing can be seen from it; nothing
                has changed then.
        """
        ranges: dict[str, tuple[float, float]] = {"society.stage": (-1, self.agenda.last)}  # -1: over
        ranges |= dict.fromkeys(("society.steps", "society.plays", "society.episode", "age"), (0, LAST))
        check_arrays(arrays, self.get_state(), ranges, self._gaps)
        before = self._before()
        try:
            self._restore(dict(arrays))
        except BaseException as error:
            self._revert(before)
            if isinstance(error, Exception):
                raise CorruptCheckpoint(f"a state from which nothing can be seen: {error!r}") from error
            raise

    def _restore(self, given: dict[str, NDArray[Any]]) -> None:
        self._seed(np.array(given["seeds"], np.uint64))
        self.age = np.array(given["age"], np.int64)
        self.memory = from_arrays(self.memory, "society", given)
        self.state = from_arrays(self.state, "dilemma", given)
        self.states = {
            name: from_arrays(state, f"institution.{name}", given) for name, state in self.states.items()
        }
        self._look()

    def save(self, path: str | Path) -> None:
        """Write configuration and state to an `.npz` file, atomically and without pickle."""
        write_arrays(path, self.get_state(), self.to_dict())

    @classmethod
    def load(cls, path: str | Path, society: Society | None = None) -> Society:
        """The society that `save` wrote, in mid-episode; see `saving.load`."""
        return saving.load(path, society)

    def to_dict(self) -> dict[str, Any]:
        """The configuration as plain JSON values."""
        return saving.describe(self)

    @classmethod
    def from_dict(cls, config: Mapping[str, Any], seed: int | NDArray[np.uint64] = 0) -> Society:
        """The society that `to_dict` described, at its start with `seed`."""
        return saving.build(config, seed)

    def __repr__(self) -> str:
        inside = repr(self.dilemma)
        for inst in self.institutions:
            inside = f"{inst!r}<{inside}>"
        return f"Society<{inside}>(num_worlds={self.num_worlds})"
