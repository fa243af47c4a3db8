"""Predictions of a whole catalogue, warehouse to warehouse: seconds and memory for 1, 4 and 16 copies, beside a script."""

import json
import os
import subprocess
import tarfile
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import duckdb

from cli import retailer
from cli.warehouse import warehouse
from local import server
from local.environments import environment
from tests.bench.counts import count_of
from tests.e2e.deployed import MODELS, ROOT, Deployed, deployed_in

COPIES = [int(number) for number in os.environ.get("BOXCAR_BENCH_COPIES", "1,4,16").split(",")]
FAMILY = "catalogue"
TABLE = """product_id BIGINT, first_seen TIMESTAMP, manufacturer_id BIGINT, department VARCHAR(32), brand VARCHAR(16),
    product_category VARCHAR(64), product_type VARCHAR(64), price DOUBLE PRECISION, discount DOUBLE PRECISION,
    quantity DOUBLE PRECISION, baskets BIGINT"""
ROWS = """
    SELECT p.product_id + 100000000 * c.i AS product_id, coalesce(s.first_seen, TIMESTAMP '2017-01-01') AS first_seen,
        p.manufacturer_id::BIGINT AS manufacturer_id, p.department, p.brand, p.product_category, p.product_type,
        s.price * (1 + c.i / 1000.0) AS price, s.discount, s.quantity, s.baskets
    FROM '{data}/products.parquet' p CROSS JOIN range({copies}) c(i)
    LEFT JOIN (
        SELECT t.product_id, min(transaction_timestamp)::TIMESTAMP AS first_seen,
            avg(sales_value / nullif(quantity, 0)) AS price, avg(retail_disc / nullif(quantity, 0)) AS discount,
            avg(quantity) AS quantity, count(DISTINCT basket_id) AS baskets
        FROM '{data}/transactions.parquet' t GROUP BY 1
    ) s ON s.product_id = p.product_id
"""


def main() -> dict[str, Any]:
    """Train once, then predict for each number of copies in turn, by Boxcar and by the script."""
    figures: dict[str, Any] = {}
    counted: dict[int, tuple[int, int]] = {}
    with tempfile.TemporaryDirectory() as folder, deployed_in(Path(folder)) as stack:
        stack.load(13)
        stack.pause_sweep()
        _apply(stack)
        trained = stack.run({"family": FAMILY}, timeout_s=600)
        if trained.status != "SUCCEEDED":
            raise RuntimeError(f"training {trained.status}: {trained.cause}")
        models = _models(stack, Path(folder) / "models")
        print(f"{'copies':>6} {'rows':>9} {'boxcar s':>9} {'rows/s':>9} {'peak MB':>8} {'script s':>9} {'peak MB':>8}")
        for copies in COPIES:
            rows = _fill(stack, Path(folder), copies)
            stack.cloud.forget_calls()
            with Peak(stack) as peak:
                began = time.monotonic()
                run = stack.infer({"family": FAMILY, "scope": "monthly"}, timeout_s=3600)
                seconds = time.monotonic() - began
            if run.status != "SUCCEEDED":
                raise RuntimeError(f"inference {run.status}: {run.error}: {run.cause}")
            stack.settle()
            counts = count_of(stack, run.name)
            calls = sum(number for key, number in counts.items() if key.startswith("call"))
            counted[copies] = counts["transitions"], calls
            loaded = retailer.query(
                warehouse(stack.session), f"SELECT COUNT(*) FROM {FAMILY}_predictions WHERE run_id = '{run.name}'"
            )[0][0]
            if loaded != len(models) * rows:
                raise RuntimeError(f"{loaded} predictions of {rows} rows by {len(models)} models")
            script_s, script_mb = _script(stack, Path(folder), models)
            figures |= {
                f"rows_{copies}": rows, f"seconds_{copies}": round(seconds, 1), f"peak_mb_{copies}": round(peak.mb),
                f"script_seconds_{copies}": round(script_s, 1), f"script_peak_mb_{copies}": round(script_mb),
            }  # fmt: skip
            print(
                f"{copies:>6} {rows:>9,} {seconds:>9.1f} {len(models) * rows / seconds:>9,.0f} {peak.mb:>8.0f} "
                f"{script_s:>9.1f} {script_mb:>8.0f}"
            )
    for copies, (transitions, calls) in counted.items():
        print(f"{copies} copies: {transitions} transitions, {calls} calls")
        figures |= {f"transitions_{copies}": transitions, f"calls_{copies}": calls}
    return figures


def _apply(stack: Deployed) -> None:
    document = json.loads(json.dumps(stack.document))
    inference = {**document["inference"], "query": f"SELECT * FROM {FAMILY}", "table": f"{FAMILY}_predictions"}
    inference |= {
        "view": f"{FAMILY}_recommended",
        "rejects": {},
        "files": {"format": os.environ.get("BOXCAR_BENCH_FORMAT", "parquet")},
    }
    gate = {"metric": "roc_auc", "min_score": 0.5}
    stack.apply({**document, "family": FAMILY, "inference": inference, "gate": gate}, MODELS)


def _fill(stack: Deployed, folder: Path, copies: int) -> int:
    """The catalogue so many times, in a table of its own; the number of rows."""
    path = folder / "catalogue.parquet"
    with duckdb.connect() as connection:
        query = ROWS.format(data=retailer.data_folder(), copies=copies)
        connection.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet)")
        rows = int(connection.fetchall()[0][0])
    house = warehouse(stack.session)
    key = f"warehouse/catalogue/{copies}/catalogue.parquet"
    house.s3.upload_file(str(path), house.bucket, key)
    retailer.execute(
        house, f"DROP TABLE IF EXISTS {FAMILY}", f"CREATE TABLE {FAMILY} ({TABLE})",
        f"COPY {FAMILY} FROM 's3://{house.bucket}/{key}' {house.iam_role} FORMAT AS PARQUET",
    )  # fmt: skip
    return rows


def _models(stack: Deployed, folder: Path) -> list[str]:
    """Unpack the approved versions for the script."""
    names = list(stack.document["models"])
    for name in names:
        version = next(one for one in stack.versions(FAMILY, name) if one["status"] == "Approved")
        bucket, _, key = version["outputs"]["model"].removeprefix("s3://").partition("/")
        archive = folder.parent / f"{name}.tar.gz"
        stack.session.client("s3").download_file(bucket, key, str(archive))
        with tarfile.open(archive) as tar:
            tar.extractall(folder / name)
    return names


def _script(stack: Deployed, folder: Path, models: list[str]) -> tuple[float, float]:
    """Unload, score with pandas in one process, copy back into a fresh table: seconds, and the process's peak in MB."""
    house, number = warehouse(stack.session), time.time_ns()
    began = time.monotonic()
    prefix = f"runs/script-{number}/data/"
    retailer.execute(
        house, f"UNLOAD ('SELECT * FROM {FAMILY}') TO 's3://{house.bucket}/{prefix}' {house.iam_role} FORMAT PARQUET"
    )
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        data, out = Path(scratch) / "data", Path(scratch) / "out"
        data.mkdir(), out.mkdir()
        for item in house.s3.list_objects_v2(Bucket=house.bucket, Prefix=prefix)["Contents"]:
            house.s3.download_file(house.bucket, item["Key"], str(data / item["Key"].rpartition("/")[2]))
        script = [str(environment("sagemaker-xgboost-3.0-5")), str(ROOT / "tests/bench/inference_script.py")]
        done = subprocess.run(
            [*script, str(data), str(folder / "models"), str(out)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(done.stderr)
        retailer.execute(house, "DROP TABLE IF EXISTS script_predictions")
        retailer.execute(house, "CREATE TABLE script_predictions (product_id BIGINT, score DOUBLE PRECISION)")
        for model in models:
            key = f"runs/script-{number}/predictions/{model}.csv"
            house.s3.upload_file(str(out / f"{model}.csv"), house.bucket, key)
            retailer.execute(
                house, f"COPY script_predictions FROM 's3://{house.bucket}/{key}' {house.iam_role} FORMAT AS CSV"
            )
    return time.monotonic() - began, float(done.stdout.split()[-1])


class Peak:
    """The most memory that any one process of a job or a function has held, in MB.

    The cloud's own process is left out: it stands for AWS, its warehouse and its storage.
    """

    def __init__(self, stack: Deployed) -> None:
        self.mb = 0.0
        running = server.status(stack.session.state)
        assert running is not None
        self._cloud = running.pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Peak":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.2):  # reading /proc more often would take from what is measured
            for pid in _descendants(self._cloud):
                self.mb = max(self.mb, _resident_mb(pid))


def _descendants(of: int) -> set[int]:
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(stat.parent.name)] = int(fields[1])
    found, fresh = set(), {of}
    while fresh:
        fresh = {pid for pid, parent in parents.items() if parent in fresh} - found
        found |= fresh
    return found


def _resident_mb(pid: int) -> float:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    line = next((line for line in status.splitlines() if line.startswith("VmHWM:")), "VmHWM: 0 kB")
    return int(line.split()[1]) / 1024
