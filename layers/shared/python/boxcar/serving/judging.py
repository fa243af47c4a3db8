"""What becomes of a trial: a version that is tried beside the one that is live, as a shadow or on some requests."""

from dataclasses import dataclass, field

from boxcar.serving.sequential import Difference, Outcomes, compare, share_interval
from boxcar.serving.spec import Shadow, Split
from boxcar.shifts import population_stability_index

# Of a few requests one may fail by chance, whatever share of them that is, and a trial is looked at often. In the end
# all that failed counts.
FEWEST_FAILURES = 5


@dataclass(frozen=True)
class Traffic:
    """What CloudWatch says of one variant since the trial began."""

    requests: int = 0
    failed: int = 0  # answered with 5xx
    p90_ms: float | None = None  # of the model

    @property
    def error_percent(self) -> float:
        """Share of the requests that failed."""
        return 100 * self.failed / self.requests if self.requests else 0.0


@dataclass(frozen=True)
class Answers:
    """How the answers of both to the same requests compare; scores by bin, from 0 to 1."""

    pairs: int = 0
    equal: int = 0  # on the same side of the threshold; texts: the same
    live: dict[str, int] = field(default_factory=dict)
    tried: dict[str, int] = field(default_factory=dict)
    difference: float | None = None  # of scores, on average, without its sign
    unreadable: int = 0

    @property
    def shift(self) -> float | None:
        """Population stability index of the tried version's scores against the live one's."""
        return population_stability_index(self.live, self.tried)


@dataclass(frozen=True)
class Seen:
    """Everything that is known at one look.

    `until` is the time (ISO 8601, UTC) up to which requests count for `outcomes`, if there are too many; "": all do.
    """

    live: Traffic
    tried: Traffic
    answers: Answers = Answers()
    outcomes: tuple[Outcomes, Outcomes] = (Outcomes(), Outcomes())
    until: str = ""


@dataclass(frozen=True)
class Judgement:
    """What becomes of a trial.

    Attributes:
        status: continue, promote or back.
        why: in a sentence each.
        error: of a trial that ends badly: TrialLost or TrialInconclusive.
        difference: what the test of a split says.
    """

    status: str
    why: list[str]
    error: str = ""
    difference: Difference | None = None


def judge_shadow(rules: Shadow, seen: Seen, over: bool) -> Judgement:
    """Hold a shadow against its limits: errors beyond chance end it at once, the others when it is over."""
    tried, answers = seen.tried, seen.answers
    if _errs(rules.max_error_percent, tried, over):
        return Judgement("back", [_errors(rules.max_error_percent, tried)], "TrialLost")
    if not over:
        return Judgement("continue", [f"{tried.requests:,} copies, {answers.pairs:,} answers compared"])
    if answers.pairs < rules.minimum:
        why = f"{answers.pairs:,} answers of both could be compared, at least {rules.minimum:,} are needed"
        return Judgement("back", [why], "TrialInconclusive")
    beyond = []
    ratio = tried.p90_ms / seen.live.p90_ms if tried.p90_ms and seen.live.p90_ms else None
    if rules.max_latency_ratio is not None and ratio is not None and ratio > rules.max_latency_ratio:
        beyond.append(f"one in ten requests takes {ratio:.2f} times as long, more than {rules.max_latency_ratio:g}")
    share, (_, high) = answers.equal / answers.pairs, share_interval(answers.equal, answers.pairs)
    if rules.min_agreement is not None and high < rules.min_agreement:
        beyond.append(f"{share:.1%} of the decisions are equal, fewer than {rules.min_agreement:.1%}")
    shift = answers.shift
    if rules.max_score_shift is not None and shift is not None and shift > rules.max_score_shift:
        beyond.append(f"scores have shifted by {shift:.3f}, more than {rules.max_score_shift:g}")
    if beyond:
        return Judgement("back", beyond, "TrialLost")
    return Judgement("promote", [f"{answers.pairs:,} answers of both compared, {share:.1%} of the decisions are equal"])


def judge_split(rules: Split, seen: Seen, over: bool) -> Judgement:
    """Decide between two variants as soon as one is better by more than chance, or when the hours are over."""
    if _errs(rules.max_error_percent, seen.tried, over):
        return Judgement("back", [_errors(rules.max_error_percent, seen.tried)], "TrialLost")
    first, second = seen.outcomes
    asked = f" of requests before {seen.until}, since more are not read," if seen.until else ""
    if min(first.count, second.count) < rules.minimum:
        why = f"{second.count:,} and {first.count:,} outcomes{asked} of the new version and the one before"
        if over:
            return _undecided(rules, f"{why}, at least {rules.minimum:,} each are needed")
        return Judgement("continue", [why])
    what = "outcome" if rules.metric == "outcome" else "share of requests without an error"
    why = f"{what}{asked}: {second.mean:.4g} of {second.count:,} against {first.mean:.4g} of {first.count:,}"
    found = compare(first, second, rules.alpha)
    if found:
        why += f", a difference of {found.difference:+.4g} ({found.low:+.4g} to {found.high:+.4g}, p {found.p:.2g})"
        if found.p <= rules.alpha:
            better = found.difference > 0
            return Judgement("promote" if better else "back", [why], "" if better else "TrialLost", found)
    else:
        why += ", the same for each request of a version, so that nothing can be tested"
    if not over:
        return Judgement("continue", [why], difference=found)
    if rules.metric == "errors" and second.mean == 1:
        return Judgement("promote", [f"{why}; the new version has not failed once"], difference=found)
    return _undecided(rules, f"{why}: no difference beyond chance", found)


def _undecided(rules: Split, why: str, found: Difference | None = None) -> Judgement:
    if rules.inconclusive == "promote":
        return Judgement("promote", [why], difference=found)
    return Judgement("back", [why], "TrialInconclusive", found)


def _errs(limit_percent: float, tried: Traffic, over: bool) -> bool:
    low, _ = share_interval(tried.failed, tried.requests)
    return (over or tried.failed >= FEWEST_FAILURES) and 100 * low > limit_percent


def _errors(limit_percent: float, tried: Traffic) -> str:
    return f"{tried.failed:,} of {tried.requests:,} requests failed, more than {limit_percent:g} %"
