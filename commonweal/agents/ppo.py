"""Proximal policy optimisation for a population: R replicates x N agents trained at once in one process.

`PPO` plays and keeps the books; what each group learns from a rollout stands in `team.py`.

Sources: Schulman et al. (2017), arXiv 1707.06347; Yu et al. (2022), PPO in multi-agent games,
arXiv 2103.01955. Shapes as in `team.py`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self, get_args

import numpy as np
from numpy.typing import NDArray

from commonweal.extras import extra

with extra():
    import torch

    from commonweal.agents.checkpoint import device_of, read, write
    from commonweal.agents.kernel import one_blas_thread

from commonweal.agents.monitoring import EpisodeWelfare, Info, Listener, listeners_of
from commonweal.agents.population import ACTING, Activation, PopulationPolicies, Sharing
from commonweal.agents.team import Team
from commonweal.errors import UnknownName, require
from commonweal.random import Streams, seeds_of, world_seeds
from commonweal.society import Society
from commonweal.typed import fit, fit_fields, whole

Array = NDArray[np.float64]
Bool = NDArray[np.bool_]
LEARNING = ACTING + 1  # owner of the random numbers of learning


@dataclass(frozen=True)
class PPOConfig:
    """Hyperparameters."""

    sharing: Sharing = "independent"
    """A policy per agent, or one for each group."""
    hidden: tuple[int, ...] = (32, 32)
    """Units of the hidden layers, of actor and critic alike."""
    activation: Activation = "tanh"
    """Of the hidden layers."""
    rollout: int = 128
    """T, steps of every world between two updates."""
    epochs: int = 4
    """Passes over each rollout."""
    minibatches: int = 8
    """Parts of a pass; each is one gradient step."""
    learning_rate: float = 3e-3
    """Of Adam, at the start."""
    final_learning_rate: float = 0.0
    """Of Adam, at the end; linear in between."""
    gae_lambda: float = 0.95
    """Decay of generalised advantage estimation; the discount is the society's own."""
    clip: float = 0.2
    """Largest change of a probability, as a ratio, that is still rewarded."""
    entropy: float = 0.003
    """Coefficient of the entropy bonus, at the start."""
    final_entropy: float = 0.0
    """Coefficient of the entropy bonus, at the end; linear in between."""
    value_coefficient: float = 0.5
    """Weight of the critic's loss, whose targets are normalised."""
    max_gradient_norm: float = 0.5
    """Largest norm of the gradient of one policy (actor and critic together)."""
    initial_log_std: float = 0.0
    """Of continuous actions, before they are squashed."""
    target_decay: float = 0.95
    """Decay per update of the running moments that normalise the critic's targets."""

    def __post_init__(self) -> None:
        fit_fields(self)
        for name in ("rollout", "epochs", "minibatches"):
            require(getattr(self, name) >= 1, f"PPOConfig.{name}", getattr(self, name), "at least 1")
        for name in ("learning_rate", "clip", "max_gradient_norm"):
            require(getattr(self, name) > 0, f"PPOConfig.{name}", getattr(self, name), "above 0")
        for name in ("final_learning_rate", "entropy", "final_entropy", "value_coefficient"):
            require(getattr(self, name) >= 0, f"PPOConfig.{name}", getattr(self, name), "0 or more")
        require(0 <= self.gae_lambda <= 1, "PPOConfig.gae_lambda", self.gae_lambda, "from 0 to 1")
        require(0 <= self.target_decay < 1, "PPOConfig.target_decay", self.target_decay, "0 <= decay < 1")
        log_std = self.initial_log_std
        require(abs(log_std) <= 20.0, "PPOConfig.initial_log_std", log_std, "from -20 to 20")
        require(min(self.hidden, default=1) >= 1, "PPOConfig.hidden", self.hidden, "units of 1 or more")
        for name, allowed in (("sharing", get_args(Sharing)), ("activation", get_args(Activation))):
            given = getattr(self, name)
            require(given in allowed, f"PPOConfig.{name}", given, ", ".join(allowed))


class PPO:
    """A population that learns in a society.

    Replicate `r` lives in the `r`-th part of the worlds; its worlds, weights and noise come from a
    seed of its own, so that it is the same whether it is trained alone or among others.

    Args:
        society: with `R x W` worlds; the learner restarts it with its own seeds.
        config: hyperparameters.
        replicates: R.
        seed: of the whole population, or one 64-bit seed per replicate `(R,)`.
        device: where the networks live, e.g. `"cuda"`.

    Raises:
        InvalidParameter: the worlds are no multiple of the replicates, or there are too few of them.
    """

    def __init__(
        self,
        society: Society,
        config: PPOConfig | None = None,
        *,
        replicates: int = 1,
        seed: int | NDArray[np.uint64] = 0,
        device: str | torch.device = "cpu",
    ) -> None:
        self.config = PPOConfig() if config is None else config
        require(isinstance(society, Society), "society", society, "a Society")
        require(isinstance(self.config, PPOConfig), "config", config, "a PPOConfig")
        worlds, device = society.num_worlds, device_of(device)
        replicates = whole("replicates", replicates, 1)
        require(worlds % replicates == 0, "num_worlds", worlds, f"a multiple of replicates ({replicates})")
        samples, parts = self.config.rollout * worlds // replicates, self.config.minibatches
        require(samples >= parts, "PPOConfig.minibatches", parts, f"up to {samples} samples")
        require(society.autoreset, "society.autoreset", society.autoreset, "True")
        self.society, self.replicates = society, replicates
        self.seeds = seeds_of(seed, replicates)
        society.reset(np.concatenate([world_seeds(int(s), worlds // replicates) for s in self.seeds]))
        self.streams = Streams(self.seeds, owner=LEARNING).begin(0, 0)
        self.teams = {
            name: Team(group, self.config, self.streams, device) for name, group in society.groups.items()
        }
        for name, team in self.teams.items():
            team.scale.update(team.actors().fold(society.observation[name]), team.live)
        self.steps = self.updates = 0
        self.episodes = EpisodeWelfare(replicates, worlds)

    @property
    def welfare(self) -> Array:
        """Mean discounted W of the episodes that ended last, `(R,)`; nan before one has ended."""
        return self.episodes.mean

    def train(
        self,
        steps: int,
        schedule: int | None = None,
        *,
        on_update: Listener | None = None,
        checkpoint: str | Path | None = None,
        checkpoint_every: int = 10,
        log_dir: str | Path | None = None,
        progress: bool = False,
    ) -> Self:
        """Train each replicate for `steps` more steps, all its worlds together, in whole rollouts.

        Learning rate and entropy bonus decline linearly from the learner's first step to the end of the
        schedule. What is trained in parts is trained as in one piece if each part names the same schedule,
        and so is what is resumed and trained for the steps that are left.

        Args:
            steps: more than have been taken.
            schedule: steps, counted from the first, at which the decline ends; by default, with this call.
            on_update: called after each update with `steps`, `total_steps`, `updates`,
                `agent_steps_per_second` and arrays `(R,)`: `welfare` (discounted W of the episodes that
                ended), and by group, as in `"entropy/citizens"`: `reward` per step, `entropy`,
                `approx_kl`, `explained_variance`.
            checkpoint: file to write every `checkpoint_every` updates and at the end.
            checkpoint_every: updates between two checkpoints.
            log_dir: folder for TensorBoard.
            progress: show a bar with the mean welfare.

        Raises:
            Diverged: weights, observations or rewards are not finite; what was saved before stays.
            InvalidParameter: steps that are no whole number, or a schedule that ends before they do.
        """
        total = self.steps + whole("steps", steps)
        schedule = total if schedule is None else whole("schedule", schedule, total)
        checkpoint_every = whole("checkpoint_every", checkpoint_every, 1)
        require(on_update is None or callable(on_update), "on_update", on_update, "None or a function")
        listeners = listeners_of(on_update, log_dir, progress)
        try:
            while self.steps < total:
                info = self.update(1.0 - self.steps / schedule)
                for listener in listeners:
                    listener({**info, "total_steps": total})
                if checkpoint is not None and self.updates % checkpoint_every == 0:
                    self.save(checkpoint)
        finally:
            for listener in listeners:
                getattr(listener, "close", lambda: None)()
        if checkpoint is not None:
            self.save(checkpoint)
        return self

    def update(self, remaining: float) -> Info:
        """One rollout and one improvement; `remaining` of the schedule is left, from 1 to 0.

        Raises:
            Diverged: weights, observations or rewards are not finite.
        """
        share = fit("remaining", remaining, float)
        require(0.0 <= share <= 1.0, "remaining", remaining, "from 0 to 1")
        with one_blas_thread():
            return self._update(share)

    def _update(self, remaining: float) -> Info:
        started, config = time.perf_counter(), self.config
        for team in self.teams.values():
            team.require_finite("parameters", team.theta.detach())
        self.updates += 1
        arrays = self._rollout()
        done = 1.0 - remaining
        learning_rate = remaining * config.learning_rate + done * config.final_learning_rate
        entropy = remaining * config.entropy + done * config.final_entropy
        info: Info = {"welfare": self.welfare.copy()}
        for phase, (name, team) in enumerate(self.teams.items()):
            self.streams.begin(self.updates, 2 * phase + 1)
            with torch.no_grad():
                advantage, target = team.assess(*arrays)
            reward = team.reward.mean(axis=(0, 2)).reshape(self.replicates, -1).mean(axis=1)
            info[f"reward/{name}"] = reward
            for key, value in team.learn(advantage, target, learning_rate, entropy).items():
                info[f"{key}/{name}"] = value.view(self.replicates, -1).mean(dim=1).cpu().numpy()
        self.steps += config.rollout * self.society.num_worlds // self.replicates
        agents = config.rollout * self.society.num_worlds * self.society.charter.num_agents
        speed = agents / (time.perf_counter() - started)
        return {"steps": self.steps, "updates": self.updates, "agent_steps_per_second": speed, **info}

    @torch.no_grad()
    def _rollout(self) -> tuple[Array, Bool, Bool]:
        """Play T steps; returns discount, terminated and done, `(T, B)` each."""
        society, shape = self.society, (self.config.rollout, self.society.num_worlds)
        discount, terminated, done = np.empty(shape), np.empty(shape, bool), np.empty(shape, bool)
        for phase, team in enumerate(self.teams.values()):
            self.streams.begin(self.updates, 2 * phase)
            team.begin(society.num_worlds, society.mask is not None)
        for t in range(shape[0]):
            mask = society.mask or {}
            actions = {
                name: team.act(t, society.observation[name], mask.get(name))
                for name, team in self.teams.items()
            }
            step = society.step(actions)
            discount[t], terminated[t], done[t] = step.discount, step.terminated, step.done
            for name, team in self.teams.items():
                team.reward[t] = step.reward[name]
                if step.final_observation is not None:
                    team.final[t] = team.acting.fold(step.final_observation[name])
            self.episodes.add(step.welfare, step.discount, step.done)
        for name, team in self.teams.items():
            team.observation[-1] = team.acting.fold(society.observation[name])
        return discount, terminated, done

    # ------------------------------------------------------------------ policies, copies

    def policies(
        self, deterministic: bool = False, replicate: int | None = None, seed: int = 0
    ) -> PopulationPolicies:
        """The policies as they are now: those of all replicates, or of one.

        Raises:
            Diverged: their weights are not finite.
        """
        chosen = np.arange(self.replicates)
        if replicate is not None:
            chosen = chosen[[whole("replicate", replicate, 0, self.replicates - 1)]]
        mixed = np.uint64(whole("seed", seed, 0, 2**64 - 1))
        actors = {name: team.actors().take(chosen) for name, team in self.teams.items()}
        return PopulationPolicies(actors, deterministic, self.seeds[chosen] ^ mixed)

    @torch.no_grad()
    def value(self, observation: Mapping[str, NDArray[np.float32]]) -> dict[str, Array]:
        """What the critics expect, in units of the reward: `(B, n)` by group."""
        return {
            name: team.layout.unfold(team.value(team.actors().fold(observation[name]))).double().cpu().numpy()
            for name, team in self.teams.items()
        }

    def train_only(self, trainable: Mapping[str, Sequence[int]]) -> Self:
        """From now on only these agents of each group learn; the others are frozen as they are."""
        for name in trainable:
            if name not in self.teams:
                raise UnknownName("group", name, self.teams)
        for name, team in self.teams.items():
            team.train_only(trainable.get(name, ()))
        return self

    def copy_policies(self, other: PPO) -> Self:
        """Start from the weights of a learner with the same groups, replicates and networks."""
        for name, team in self.teams.items():
            given, allowed = (tuple(t.theta.shape) for t in (other.teams[name], team))
            require(given == allowed, f"parameters of {name}", given, str(allowed))
            team.copy_policies(other.teams[name])
        return self

    def save(self, path: str | Path) -> None:
        """Write everything that training needs to go on to an `.npz` file, atomically and without pickle.

        Raises:
            Diverged: weights are not finite; nothing is written.
        """
        write(self, path)

    @classmethod
    def resume(
        cls, path: str | Path, society: Society | None = None, device: str | torch.device = "cpu"
    ) -> Self:
        """The learner that `save` wrote; training goes on as if it had never stopped.

        Args:
            path: the checkpoint.
            society: where to learn; by default the one described in the checkpoint.
            device: where the networks live.

        Raises:
            CorruptCheckpoint: the file is truncated, damaged, foreign, or belongs to another society;
                `society` is then as it was.
        """
        return read(cls, path, society, device)
