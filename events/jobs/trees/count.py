"""A processing job: draw rows as train.py does, and count the labels for several amounts of noise.

config.json beside the code says how many rows and which amounts of noise; counts.json is the output.
"""

import json
from pathlib import Path

from train import draw

HERE = Path(__file__).resolve().parent  # /opt/ml/processing/input/code
INPUTS = HERE.parent
OUTPUTS = INPUTS.parent / "output"


def main() -> None:
    """Read config.json, count, write counts.json."""
    config = json.loads((INPUTS / "config" / "config.json").read_text())
    counts = []
    for noise in config["noises"]:
        _, labels = draw(config["rows"], 12, noise, seed=1)
        counts.append({"noise": noise, "rows": len(labels), "ones": int(labels.sum())})
        print(counts[-1])
    folder = OUTPUTS / "counts"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "counts.json").write_text(json.dumps(counts, indent=2))


if __name__ == "__main__":
    main()
