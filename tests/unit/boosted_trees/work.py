"""A place to run the architecture's scripts as SageMaker does: as processes, with nothing but the container's folders."""

import json
import shutil
import tarfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from local.sagemaker.launcher import Interpreter

ROOT = Path(__file__).resolve().parents[3]
CODE = ROOT / "models" / "boosted_trees"
FEATURES = {
    "numeric": ["price", "discount", "quantity", "baskets"],
    "categorical": ["manufacturer_id", "department", "brand", "product_category", "product_type"],
}
PARAMETERS = {
    name: spec["default"]
    for name, spec in yaml.safe_load((CODE / "architecture.yaml").read_text())["parameters"].items()
}

# What the model server of the container does with a batch: lines in groups, one request a group, answers in order.
TRANSFORM = """
import sys
from pathlib import Path
model, data, out, group = sys.argv[1:]
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
    output: str
    seconds: float


@dataclass
class Work:
    """A place where the four jobs of one model run one after the other."""

    folder: Path
    python: Interpreter
    model: str = "mailer"
    label: str = "mailer"
    features: dict = field(default_factory=lambda: FEATURES)
    upstream: dict[str, Path] = field(default_factory=dict)  # model -> its archive
    minimum_rows: int = 100
    ratio: float = 0.2
    fairness: dict | None = None
    data: Path | None = None  # the unload that was prepared
    approved: "Work | None" = None  # the version in production

    def out(self, step: str, name: str) -> Path:
        """An output of a step that has run."""
        return self.folder / step / "processing" / "output" / name

    @property
    def archive(self) -> Path:
        return self.folder / "model.tar.gz"

    @property
    def unpacked(self) -> Path:
        return self.folder / "unpacked"

    @property
    def evaluation(self) -> dict:
        return json.loads((self.out("evaluate", "evaluation") / "evaluation.json").read_text())

    def schema(self) -> dict:
        return json.loads((self.out("prepare", "schema") / "schema.json").read_text())

    def prepare(self, data: Path) -> Done:
        self.data = data
        return self._process(
            "prepare", {"data": data} | {f"upstream_{name}": path for name, path in self.upstream.items()}
        )

    def evaluate(self) -> Done:
        inputs = {name: self.out("prepare", name) for name in ("validation", "train")}
        inputs |= {"predictions": self.folder / "predictions", "model": self.archive, "data": self.data}
        if self.approved:
            inputs |= {"approved_model": self.approved.archive}
            inputs |= {"approved_evaluation": self.approved.out("evaluate", "evaluation") / "evaluation.json"}
        return self._process("evaluate", inputs)

    def train(self, **parameters: object) -> Done:
        base = self.folder / "train"
        shutil.rmtree(base, ignore_errors=True)
        code = self._code(base / "code")
        environ = {"SM_MODEL_DIR": base / "model", "SM_OUTPUT_DIR": base / "output"}
        environ |= {f"SM_CHANNEL_{name.upper()}": self.out("prepare", name) for name in ("train", "schema")}
        arguments = [text for name, value in (PARAMETERS | parameters).items() for text in (f"--{name}", value)]
        done = self.run(code / "train.py", arguments, environ, base / "output" / "failure")
        if done.code == 0:
            with tarfile.open(self.archive, "w:gz") as tar:
                tar.add(base / "model", arcname=".")
        return done

    def predict(self, group: int = 1000) -> Done:
        out = self.folder / "predictions"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        shutil.rmtree(self.unpacked, ignore_errors=True)
        with tarfile.open(self.archive) as tar:
            # Python before 3.11.4 knows no filter, and Debian 12 has 3.11.2.
            tar.extractall(self.unpacked, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
        return self.run_text(TRANSFORM, self.unpacked, self.out("prepare", "serving"), out, group)

    def run_text(self, script: str, *arguments: object) -> Done:
        """Run a few lines beside the scripts of the architecture."""
        path = self._code(self.folder / "beside") / "lines.py"
        path.write_text(script)
        return self.run(path, list(arguments), {})

    def all(self, data: Path, **parameters: object) -> list[Done]:
        """Run the four steps; each must succeed."""
        steps = [lambda: self.prepare(data), lambda: self.train(**parameters), self.predict, self.evaluate]
        return [self._ok(step()) for step in steps]

    @staticmethod
    def _ok(done: Done) -> Done:
        assert done.code == 0, done.output
        return done

    def _process(self, step: str, inputs: dict[str, Path]) -> Done:
        base = self.folder / step
        shutil.rmtree(base, ignore_errors=True)
        into = base / "processing" / "input"
        code = self._code(into / "code")
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
            **({"fairness": self.fairness} if self.fairness else {}),
        }
        (into / "config").mkdir()
        (into / "config" / "config.json").write_text(json.dumps(config))
        return self.run(code / f"{step}.py", [], {}, base / "output" / "message")

    @staticmethod
    def _code(folder: Path) -> Path:
        return Path(shutil.copytree(CODE, folder, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True))

    def run(self, script: Path, arguments: list, environ: dict[str, object], message: Path | None = None) -> Done:
        """Run a script as a process of its own."""
        started = time.monotonic()
        log = self.folder / "log"
        log.unlink(missing_ok=True)
        env = {"PATH": "/usr/bin:/bin"} | {name: str(value) for name, value in environ.items()}
        argv = [str(self.python.python), str(script), *map(str, arguments)]
        code = self.python.start(argv, env, self.folder, log).wait(120)
        text = message.read_text() if message and message.exists() else ""
        return Done(code, text, log.read_text(), time.monotonic() - started)
