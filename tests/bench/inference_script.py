"""What somebody writes who needs predictions by tonight: pandas reads all rows, the same boosters score them, a file a model.

    python inference_script.py <folder of Parquet files> <folder of unpacked models> <folder for CSV files>

It runs in the environment of SageMaker's image, which has pandas and XGBoost, and is no part of Boxcar.
"""

import json
import resource
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import xgboost


def clean(column: pd.Series) -> pd.Series:
    """Names as the models know them, each cleaned once."""
    names = column.astype("category")
    return names.cat.rename_categories(lambda value: str(value).strip().removesuffix(".0"))


def score(folder: Path, rows: pd.DataFrame) -> np.ndarray:
    """Scores of one model; those of a model that it builds on are a column more."""
    schema = json.loads((folder / "schema.json").read_text())
    columns = {name: pd.to_numeric(rows[name]).to_numpy(np.float32) for name in schema["numeric"]}
    for upstream in schema["upstream"]:
        columns[f"{upstream}_score"] = score(folder / "upstream" / upstream, rows)
    for name in schema["categorical"]:
        codes = rows[name].cat.set_categories(schema["categories"][name]).cat.codes.astype(np.float32) + 1
        columns[name] = np.where(rows[name].isna(), np.nan, codes)
    booster = xgboost.Booster(model_file=str(folder / "model.json"))
    return booster.inplace_predict(np.column_stack(list(columns.values())).astype(np.float32), validate_features=False)


def main() -> None:
    """Read, score, write."""
    data, models, out = map(Path, sys.argv[1:])
    rows = pd.concat([pd.read_parquet(path) for path in sorted(data.glob("*.parquet"))])
    for name in ("manufacturer_id", "department", "brand", "product_category", "product_type"):
        rows[name] = clean(rows[name])
    for folder in sorted(models.iterdir()):
        frame = pd.DataFrame({"product_id": rows["product_id"], "score": score(folder, rows)})
        frame.to_csv(out / f"{folder.name}.csv", index=False, header=False)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


if __name__ == "__main__":
    main()
