"""What a report says in words."""

from __future__ import annotations

from commonweal.benchmarks.summary import CONVERGED

INTRODUCTION = (
    "Self-interested learning agents in a social dilemma, under one institution at a time. How far does "
    "each institution bring group welfare from what selfish equilibrium yields towards what a planner "
    "would get, and what does it cost?"
)
NOTES = {
    "efficiency": (
        "0 is the selfish equilibrium, 1 the planner. Interquartile mean over the replicates, with the "
        "95% bootstrap interval below it, widened by the error bounds of both references. Dotted: the "
        "trained laissez-faire. Strokes: the exact equilibrium under that institution, where it can be "
        "computed. Diamonds: uses oracle information. White marks: not converged (a best "
        f"response gains more than {CONVERGED:.0%} of the gap)."
    ),
    "measures": (
        "Interquartile means with 95% bootstrap intervals. The gain of a best response is a share of "
        "the gap between planner and selfish equilibrium; a trained response gives a lower bound."
    ),
    "welfare": (
        "Crosses: replicates. Mark and bar: their interquartile mean and its 95% interval. Bands round "
        "the reference lines: bounds of their error. Dotted: other equilibria that were found; zero is "
        "the worst."
    ),
    "learning": (
        "Welfare of the episodes that ended during training, played with the exploration of training. "
        "Thin: replicates; bold: their interquartile mean. The axis leaves out the losses of the first "
        "random plays."
    ),
    "stock": (
        "Stock at the start of each play in held-out worlds. Thin: means of each replicate; bold: their "
        "interquartile mean; dashed and solid: the mean path under the selfish equilibrium and the "
        "planner."
    ),
    "money": (
        "Discounted payments over an episode, means over replicates. Crossed bars are destroyed, "
        "striped ones change hands."
    ),
    "gains": (
        "How much an agent would gain in its own discounted utility by its best reply to the frozen "
        "policies of the others. Filled: exact, by dynamic programming, of the agent that gains most. "
        "White: of agent 0, trained from its own policy onwards, a lower bound. A large gain means not "
        "converged, not misaligned."
    ),
    "references": (
        "W with a bound on its error; epsilon is the exact gain of one agent from deviating alone, in "
        "units of its own discounted payoff. A planner's slack is how far any play under any institution "
        "could rise above it: by knowing the time limit, or by payments where acts are levels."
    ),
    "configuration": "Everything that decides a cell's result; the hash in its name is taken over it.",
}
DEFINITIONS = {
    "Welfare W": (
        "Sum of the citizens' utilities, of what reaches the treasury (at its weight), and of what officials "
        "get beyond the worth of their time, discounted, over one episode. Where utility is not linear in "
        "money these are valued inside the utilities, as if they were given back in equal parts."
    ),
    "Efficiency": (
        "(W − W<sub>selfish</sub>) / (W<sub>planner</sub> − W<sub>selfish</sub>); not defined where "
        "that gap is under 1% of the range of payoffs."
    ),
    "Equality": (
        "One minus the Gini coefficient of the citizens' mean discounted utilities (Perolat et al., "
        "2017); not defined where their total is not positive."
    ),
    "Enforcement cost": (
        "Discounted real costs: money destroyed (administration, monitoring, both sides of punishment) and "
        "officials' time, worth their wages. They are already taken out of W; bribes are none."
    ),
    "Final stock": "Mean stock over the last quarter of an episode, since paths may pulse.",
    "Evaluation": (
        "The policies as trained, sampling their actions, in worlds whose seeds no learner has met; the "
        "same worlds under every institution."
    ),
    "Information": (
        "What an institution sees. <i>Exact</i>: true conduct. <i>Noisy</i>: through a monitor that "
        "misses or misreads. <i>Oracle</i>: harm, which no regulator sees."
    ),
    "Interval": (
        "95% percentile bootstrap of the interquartile mean over replicates (the lowest and highest "
        "quarter left out)."
    ),
    "Loss to planner": "W of the planner less the trained W: for where the gap is too small for efficiency.",
    "Efficiency in theory": (
        "That of the worst symmetric Markov-perfect equilibrium found of the dilemma under this very "
        "institution, by dynamic programming; missing where the institution remembers, draws lots or adds "
        "actions."
    ),
}
NOT_TO_CONCLUDE = (
    "That people would behave so: these are learning algorithms in a model.",
    (
        "That an institution is better in general: one parameter setting of each is shown, and rates "
        "that were computed from the model know more than a regulator does."
    ),
    "That a cell marked “not converged” shows what the institution leads to.",
    "That a low gain of a trained response proves an equilibrium: it is a lower bound.",
    "Anything from an average over dilemmas; none is shown.",
)
