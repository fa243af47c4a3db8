"""What the figures come to: costs, instances, the recommendation, and what is said of cells that have none."""

import csv
import io
from typing import Any

import pytest

from boxcar.benchmarks.rows import COLUMNS, NEURONPERF
from boxcar.benchmarks.story import render, table, tell
from tests.unit.benchmarks.documents import facts_of, load_test, plan_of

REAL_TIME = [{"name": "realtime", "scenario": "server", "rate": 16000, "p99_ms": 10}]
BATCH = [{"name": "batch", "scenario": "offline", "rate": 8800, "unit": "pairs"}]
SMALL = {"sequences": [32], "backbone": "minilm", "batches": [1]}  # of which nothing is published
ENDED = 1_795_723_000.0


def report_of(results: Any = (), error: Any = None, documents: Any = None, **asked: Any) -> dict[str, Any]:
    plan = plan_of(**{**SMALL, "targets": REAL_TIME, **asked})
    return tell(facts_of(plan, **(documents or {})), list(results), error, ENDED)


def rows_of(report: dict[str, Any], target: int = 0) -> dict[str, dict[str, Any]]:
    return {row["backend"]: row for row in report["targets"][target]["rows"]}


def test_instances_and_costs_follow_from_the_rate_that_meets_the_target() -> None:
    report = report_of(backends=["openvino"], documents={"openvino": load_test(500, 8.0)})
    row = rows_of(report)["openvino"]
    assert row["cost_per_1m_inf"] == pytest.approx(0.1785 / 3600 / 500 * 1e6)
    assert row["instances"] == 32
    assert row["usd_per_year"] == pytest.approx(32 * 0.1785 * 8760)
    assert (row["how"], row["measured_on"], row["meets"]) == ("measured", "", True)


def test_the_cheapest_is_recommended_with_its_runner_up_and_saving() -> None:
    documents = {"neuronx": load_test(8_000, 4.0), "neuron": load_test(1_000, 6.0), "openvino": load_test(900, 9.0)}
    report = report_of(backends=list(documents), documents=documents)
    told = report["targets"][0]["recommendation"]
    assert told["best"] == "neuronx-inf2-b1-s32-xlarge-c2-realtime"
    assert told["saving"] == pytest.approx(1 - (2 * 0.7582) / (18 * 0.1785))
    assert told["sentence"] == (
        "For 16,000 queries/s within 10 ms at P99, buy 2 × inf2.xlarge with neuronx, batch 1 (measured): $13,284 a year, "
        "53% cheaper than 18 × c7i.xlarge with openvino, batch 1 (measured)."
    )
    assert told["caveats"] == []
    assert [row["pareto"] for row in report["targets"][0]["rows"]] == [True, False, False]


def test_one_alone_has_no_runner_up() -> None:
    report = report_of(backends=["openvino"], documents={"openvino": load_test(500, 8.0)})
    assert report["targets"][0]["recommendation"]["sentence"].endswith("a year; nothing else meets the target.")


def test_a_target_that_nobody_meets_says_by_how_much_the_best_misses_it() -> None:
    documents = {"openvino": load_test(None, 25.0), "torch": load_test(None, 12.5)}
    report = report_of(backends=list(documents), documents=documents)
    told = report["targets"][0]["recommendation"]
    assert told["best"] is None
    assert told["sentence"].endswith(
        "the best, c7i.xlarge with torch, batch 1, has a P99 of 12.5 ms and misses it by 2.5 ms (25%)."
    )
    assert report["status"] == "succeeded"  # it was measured


def test_who_meets_a_target_without_a_price_has_not_missed_it() -> None:
    plan = plan_of(backends=["openvino"], backbone="base", sequences=[128], batches=[1], targets=REAL_TIME)
    hourly = dict.fromkeys(plan.prices.usd_per_hour)  # as in a region where AWS sells none of them
    plan = plan.model_copy(update={"prices": plan.prices.model_copy(update={"usd_per_hour": hourly})})
    told = tell(facts_of(plan, openvino=load_test(None, 25.0)), [], None, ENDED)["targets"][0]["recommendation"]
    assert told["best"] is None
    assert told["sentence"] == (
        "For 16,000 queries/s within 10 ms at P99, 6 × inf2.xlarge with neuronx, batch 8 (published), meet the target "
        "realtime, but nothing that meets it has a price: `boxcar prices refresh`, and run the benchmark again."
    )


def test_a_single_stream_that_is_too_slow_has_a_rate_and_misses_its_target() -> None:
    targets = [{"name": "single", "scenario": "single_stream", "rate": 100, "p99_ms": 10}]
    report = report_of(backends=["torch"], targets=targets, documents={"torch": load_test(30.0, 33.0)})
    assert "misses it by 23 ms" in report["targets"][0]["recommendation"]["sentence"]


def test_a_batch_target_counts_what_comes_through() -> None:
    document = load_test(1_100.0, 900.0)
    report = report_of(backends=["torch"], targets=BATCH, documents={"torch": document})
    row = rows_of(report)["torch"]
    assert (row["rate"], row["instances"]) == (1_100.0, 8)


def test_in_a_batch_no_latency_counts_and_none_is_drawn() -> None:
    documents = {"torch": load_test(1_100.0, 900.0), "openvino": load_test(1_000.0, 90.0)}
    report = report_of(backends=list(documents), targets=BATCH, documents=documents)
    assert [(row["backend"], row["pareto"]) for row in report["targets"][0]["rows"]] == [
        ("torch", True),
        ("openvino", False),
    ]
    assert "Pareto front" not in render(report)


def test_what_ran_on_another_machine_is_told_and_to_be_repeated() -> None:
    plan = plan_of(**SMALL, targets=REAL_TIME, backends=["openvino"])
    facts = facts_of(plan, openvino=load_test(500, 8.0))
    for machine in facts.machines.values():
        machine |= {"product": "", "processor": "Intel Xeon", "processors": 2}
    told = tell(facts, [], None, ENDED)["targets"][0]["recommendation"]
    assert told["caveats"] == [
        "c7i.xlarge with openvino was measured on Intel Xeon, 2 processors: repeat it on c7i.xlarge first."
    ]


def test_figures_of_another_instance_type_are_no_figures_of_this_one() -> None:
    plan = plan_of(**SMALL, targets=REAL_TIME, backends=["openvino"])
    facts = facts_of(plan, openvino=load_test(500, 8.0))
    for machine in facts.machines.values():
        machine["product"] = "c7i.2xlarge"
    report = tell(facts, [], None, ENDED)
    row = rows_of(report)["openvino"]
    assert (row["status"], row["rate"], report["status"]) == ("failed", None, "failed")
    assert row["why"] == "it ran on c7i.2xlarge, so its figures are not those of c7i.xlarge"


def test_too_few_queries_make_a_figure_indicative() -> None:
    report = report_of(backends=["openvino"], documents={"openvino": load_test(500, 8.0, indicative=True)})
    assert "indicative" in report["targets"][0]["recommendation"]["caveats"][0]


def test_each_length_has_a_recommendation_of_its_own() -> None:
    plan = plan_of(backends=["openvino"], batches=[1], sequences=[32, 64], backbone="minilm", targets=REAL_TIME)
    facts = facts_of(plan, openvino=load_test(500, 8.0))
    facts.load_tests["openvino-c7i-b1-s64", "realtime_xlarge_c4"] = load_test(250, 9.0)
    targets = tell(facts, [], None, ENDED)["targets"]
    assert [target["name"] for target in targets] == ["realtime-32", "realtime-64"]
    assert [len(target["rows"]) for target in targets] == [1, 1]
    assert "within 10 ms at P99 at 64 tokens, buy 64 × c7i.xlarge" in targets[1]["recommendation"]["sentence"]


def test_sets_of_options_are_told_apart() -> None:
    options = {"torch": [{"mode": "trace"}, {"mode": "trace", "precision": "bf16"}]}
    plan = plan_of(**SMALL, targets=REAL_TIME, backends=["torch"], options=options)
    facts = facts_of(plan, torch=load_test(100, 8.0))
    facts.load_tests["torch-c7i-b1-s32-v2", "realtime_xlarge_c4"] = load_test(200, 8.0)
    report = tell(facts, [], None, ENDED)
    assert [row["options"] for row in report["targets"][0]["rows"]] == ["mode=trace precision=bf16", "mode=trace"]
    sentence = report["targets"][0]["recommendation"]["sentence"]
    assert "buy 80 × c7i.xlarge with torch mode=trace precision=bf16, batch 1" in sentence
    assert "50% cheaper than 160 × c7i.xlarge with torch mode=trace, batch 1 (measured)" in sentence


def test_workers_and_buckets_are_told_apart() -> None:
    plan = plan_of(**SMALL, targets=REAL_TIME, backends=["torch"], workers=[1, 2], buckets=[16])
    report = tell(facts_of(plan, torch=load_test(100, 8.0)), [], None, ENDED)
    assert [row["options"] for row in report["targets"][0]["rows"]] == ["buckets=16", "workers=2 buckets=16"]


def test_published_rows_of_the_same_model_and_length_stand_beside_with_their_source() -> None:
    documents = {"openvino": load_test(100, 9.0)}
    report = report_of(backends=["openvino"], backbone="base", sequences=[128], documents=documents)
    rows = report["targets"][0]["rows"]
    published = [row for row in rows if row["how"] == "published"]
    assert {row["backend"] for row in published} == {"neuron", "neuronx"}
    assert all(row["source"].startswith("https://awsdocs-neuron") for row in published)
    met = {(row["instance_type"], row["batch_size"]): row["meets"] for row in published}
    assert met["inf1.xlarge", 3] is False and met["inf1.6xlarge", 1] is True  # P99 of 10.7 and of 6.3 ms
    told = report["targets"][0]["recommendation"]
    assert told["sentence"].startswith("For 16,000 queries/s within 10 ms at P99, buy 6 × inf2.xlarge with neuronx")
    assert any("as published, with the publisher" in caveat for caveat in told["caveats"])


def test_a_simulated_device_is_recommended_where_there_is_nothing_else() -> None:
    asked = {"backends": ["simulated", "openvino"], "instances": ["c7i.xlarge"]}
    both = {"simulated": load_test(10_000, 1.0), "openvino": load_test(500, 8.0)}
    assert report_of(**asked, documents=both)["targets"][0]["recommendation"]["best"].startswith("openvino")
    missing = report_of(**asked, documents={**both, "openvino": load_test(None, 25.0)})["targets"][0]["recommendation"]
    assert missing["best"] is None and "c7i.xlarge with openvino, batch 1, has a P99 of 25 ms" in missing["sentence"]
    alone = report_of(**asked, documents={"simulated": load_test(10_000, 1.0)})
    assert alone["targets"][0]["recommendation"]["best"].startswith("simulated")
    assert rows_of(alone)["simulated"]["how"] == "simulated"
    assert alone["status"] == "partial"


def test_a_cell_that_failed_says_why_and_the_others_go_on() -> None:
    refused = {"status": "failed", "why": "inductor: no C++ compiler"}
    documents = {"openvino": load_test(500, 8.0), "torch": refused}
    asked = {"backends": ["openvino", "torch", "onnxruntime"]}
    lost = [
        {
            "build": "onnxruntime-c7i-b1-s32",
            "step": "compile",
            "status": "failed",
            "error": "Lambda.Unknown",
            "cause": "x",
        }
    ]
    report = report_of([lost], documents=documents, **asked)  # fmt: skip
    rows = rows_of(report)
    assert rows["torch"]["why"] == "inductor: no C++ compiler"
    assert rows["onnxruntime"]["why"] == "Lambda.Unknown: x"
    assert report["status"] == "partial"
    assert report["targets"][0]["recommendation"]["best"].startswith("openvino")
    assert " 1 of 3 cells measured in " in report["sentence"]


def test_a_job_says_better_than_the_machine_why_it_failed() -> None:
    plan = plan_of(**SMALL, targets=REAL_TIME, backends=["openvino"])
    facts = facts_of(plan)
    facts.jobs = [
        {"model": "openvino-c7i-b1-s32", "step": "realtime_xlarge_c4", "status": "Failed", "reason": "AlgorithmError: 137"}
    ]  # fmt: skip
    report = tell(facts, [], None, ENDED)
    assert rows_of(report)["openvino"]["why"] == "AlgorithmError: 137"
    assert report["status"] == "failed"
    cut = load_test(500, 8.0, status="failed", why="it ended before its search did, after 3 measurements")
    facts.load_tests["openvino-c7i-b1-s32", "realtime_xlarge_c4"] = cut
    row = rows_of(tell(facts, [], None, ENDED))["openvino"]
    assert row["why"] == "AlgorithmError: 137; it ended before its search did, after 3 measurements"
    assert (row["rate"], row["latency_ms_p99"]) == (None, 8.0)


def test_a_run_without_a_plan_has_a_report_too() -> None:
    from boxcar.benchmarks.facts import BenchmarkFacts

    facts = BenchmarkFacts("run-1", notes=["no plan"])
    report = tell(facts, [], {"error": "TriggerError", "cause": "no"}, ENDED)
    assert (report["status"], report["targets"]) == ("failed", [])
    assert "The benchmark stopped: TriggerError." in render(report)


def test_the_table_begins_with_neuronperfs_columns() -> None:
    report = report_of(backends=["openvino"], documents={"openvino": load_test(500, 8.0)})
    text = table(report)
    [row] = list(csv.DictReader(io.StringIO(text)))
    assert tuple(row) == COLUMNS
    assert tuple(row)[: len(NEURONPERF)] == NEURONPERF
    assert (row["instance_type"], row["batch_size"], row["latency_ms_p99"]) == ("c7i.xlarge", "1", "8.0")
    assert float(row["cost_per_1m_inf"]) == pytest.approx(0.09917, rel=1e-3)


def test_the_page_shows_curves_and_escapes_what_was_data() -> None:
    curve = [
        {"rate": rate, "throughput": rate, "p50": 1.0, "p99": p99} for rate, p99 in ((100, 2.0), (400, 5.0), (500, 8.0))
    ]
    documents = {"openvino": load_test(500, 8.0, curve=curve), "torch": {"status": "failed", "why": "<script>alert(1)"}}
    report = report_of(backends=list(documents), documents=documents)  # fmt: skip
    page = render(report)
    assert "&lt;script&gt;alert(1)" in page and "<script" not in page
    assert page.count("<svg") >= 2
    assert "c7i.xlarge openvino b1" in page and "cheapest" in page
