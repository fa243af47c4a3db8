"""What becomes of a trial: limits that are passed by more than chance, too little seen, and a test that decides."""

from dataclasses import replace

import pytest

from boxcar.serving.captures import Captured
from boxcar.serving.judging import Answers, Seen, Traffic, judge_shadow, judge_split
from boxcar.serving.sequential import Outcomes
from boxcar.serving.spec import Shadow, Split
from boxcar.serving.trials import compare_answers

ANSWERS = Answers(1000, 990, {"5": 500, "6": 500}, {"5": 480, "6": 520}, 0.01)
SEEN = Seen(Traffic(2000, 1, 10.0), Traffic(1000, 2, 12.0), ANSWERS)


def test_a_shadow_within_its_limits_takes_the_place_when_it_is_over_and_not_before() -> None:
    assert judge_shadow(Shadow(), SEEN, over=False).status == "continue"
    judged = judge_shadow(Shadow(), SEEN, over=True)
    assert judged.status == "promote" and judged.why == [
        "1,000 answers of both compared, 99.0% of the decisions are equal"
    ]


@pytest.mark.parametrize(
    ("rules", "seen", "error", "why"),
    [
        (
            Shadow(),
            replace(SEEN, tried=Traffic(1000, 40, 12.0)),
            "TrialLost",
            "40 of 1,000 requests failed, more than 1 %",
        ),
        (Shadow(), replace(SEEN, tried=Traffic(1000, 2, 25.0)), "TrialLost", "2.50 times as long, more than 2"),
        (Shadow(min_agreement=0.999), SEEN, "TrialLost", "99.0% of the decisions are equal, fewer than 99.9%"),
        (Shadow(max_score_shift=0.001), SEEN, "TrialLost", "scores have shifted by 0.002, more than 0.001"),
        (Shadow(minimum=2000), SEEN, "TrialInconclusive", "1,000 answers of both could be compared, at least 2,000"),
    ],
)
def test_a_shadow_beyond_a_limit_goes(rules: Shadow, seen: Seen, error: str, why: str) -> None:
    judged = judge_shadow(rules, seen, over=True)
    assert (judged.status, judged.error) == ("back", error) and why in judged.why[0]


def test_what_chance_may_do_is_no_breach() -> None:
    few = replace(SEEN, tried=Traffic(20, 1, 12.0))  # 5 %, of which nothing follows
    assert judge_shadow(Shadow(), few, over=False).status == "continue"
    early = replace(SEEN, tried=Traffic(10, 4, 12.0))
    assert judge_shadow(Shadow(), early, over=False).status == "continue"
    assert judge_shadow(Shadow(), early, over=True).error == "TrialLost", "in the end it counts"
    assert judge_shadow(Shadow(min_agreement=0.992), SEEN, over=True).status == "promote"


def outcomes(first: float, second: float, count: int = 4000) -> Seen:
    sides = (Outcomes.of_shares(round(first * count), count), Outcomes.of_shares(round(second * count), count))
    return replace(SEEN, outcomes=sides)


def test_the_better_variant_is_decided_for_at_once() -> None:
    rules = Split(metric="outcome")
    won, lost = (judge_split(rules, outcomes(*pair), over=False) for pair in ((0.1, 0.14), (0.14, 0.1)))
    assert (won.status, won.error) == ("promote", "") and "0.14 of 4,000 against 0.1 of 4,000" in won.why[0]
    assert (lost.status, lost.error) == ("back", "TrialLost")
    assert judge_split(rules, outcomes(0.1, 0.14, 500), over=False).status == "continue", "fewer than the minimum"


def test_what_stays_undecided_ends_as_the_family_says() -> None:
    seen = outcomes(0.1, 0.101)
    assert judge_split(Split(), seen, over=False).status == "continue"
    kept = judge_split(Split(), seen, over=True)
    assert (kept.status, kept.error) == ("back", "TrialInconclusive") and "no difference beyond chance" in kept.why[0]
    assert judge_split(Split(inconclusive="promote"), seen, over=True).status == "promote"
    assert "at least 1,000 each" in judge_split(Split(), outcomes(0.1, 0.1, 10), over=True).why[0]


@pytest.mark.parametrize("live", [1.0, 0.99975])
def test_a_version_that_has_not_failed_once_takes_the_place_when_the_hours_are_over(live: float) -> None:
    seen = outcomes(live, 1.0)
    assert judge_split(Split(), seen, over=False).status == "continue"
    judged = judge_split(Split(), seen, over=True)
    assert (judged.status, judged.error) == ("promote", "") and "has not failed once" in judged.why[0]
    few = judge_split(Split(), outcomes(live, 1.0, 900), over=True)
    assert few.error == "TrialInconclusive" and "at least 1,000 each" in few.why[0]


def test_outcomes_that_are_all_the_same_say_nothing_however_many_there_are() -> None:
    judged = judge_split(Split(metric="outcome"), outcomes(1.0, 1.0), over=True)
    assert judged.error == "TrialInconclusive"
    assert "nothing can be tested" in judged.why[0] and "at least" not in judged.why[0]


def test_a_report_says_which_requests_are_left_out() -> None:
    rules = Split(metric="outcome")
    for each in (outcomes(0.1, 0.101), outcomes(0.1, 0.101, 100)):
        judged = judge_split(rules, replace(each, until="2026-11-26T10:00:24Z"), over=True)
        assert "of requests before 2026-11-26T10:00:24Z, since more are not read," in judged.why[0]


def test_a_version_that_errs_does_not_wait_for_the_test() -> None:
    judged = judge_split(Split(), replace(SEEN, tried=Traffic(100, 30, 1.0)), over=False)
    assert (judged.status, judged.error) == ("back", "TrialLost")


def test_answers_to_the_same_request_are_compared() -> None:
    live = [Captured("a", "1", "0.2\n0.7\n"), Captured("", "2", "0.4"), Captured("", "3", "hello")]
    tried = [
        Captured("a", "other text", "0.3\n0.4\n"),  # by its id
        Captured("", "2", "0.4"),  # by what was asked
        Captured("", "3", "hello"),  # no scores
        Captured("b", "9", "0.1"),  # nobody else was asked that
    ]
    answers = compare_answers(live, tried, (0.5, 0.5))
    assert (answers.pairs, answers.equal) == (4, 3)
    assert answers.difference == pytest.approx((0.1 + 0.3 + 0) / 3)
    other = compare_answers(live, tried, (0.5, 0.35))
    assert (other.pairs, other.equal) == (4, 3), "each by its own threshold: 0.7 and 0.4 agree, 0.4 and 0.4 do not"
    odd = compare_answers([Captured("", "1", "nan")], [Captured("", "1", "0.5")], (0.5, 0.5))
    assert (odd.pairs, odd.equal, odd.tried) == (1, 0, {})
    assert answers.live == {"4": 1, "14": 1, "8": 1} and answers.tried == {"6": 1, "8": 2}
