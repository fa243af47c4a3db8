"""Serve: the same scores as in training, for whatever a caller sends."""

import csv
import json
import struct

import pytest

# Scores of the validation rows without the serving code: the matrix that training would see, straight into the trees.
DIRECT = """
import json, sys
from pathlib import Path
import pyarrow.parquet as pq
import xgboost
from columns import Schema, matrix
model, validation = map(Path, sys.argv[1:])
schema = Schema.load(model)
booster = xgboost.Booster(model_file=model / "model.json")
table = pq.ParquetFile(validation / "validation.parquet").read()
data = xgboost.DMatrix(matrix(table, schema), feature_names=schema.features, feature_types=schema.feature_types,
                       enable_categorical=True)
scores = booster.predict(data)
print(json.dumps({key: f"{score:.9g}" for key, score in zip(table[schema.key].to_pylist(), scores.tolist())}))
"""

ASK = """
import json, sys
import serve
model = serve.model_fn(sys.argv[1])
answers = []
for content_type, body in json.loads(sys.argv[2]):
    try:
        answers.append(serve.output_fn(serve.predict_fn(serve.input_fn(body.encode(), content_type), model), "text/csv")[0])
    except ValueError as error:
        answers.append(f"ValueError: {error}")
print(json.dumps(answers))
"""


def ask(work, *bodies: str, content_type: str = "text/csv") -> list[str]:
    """Send requests to one loaded model."""
    requests = json.dumps([(content_type, body) for body in bodies])
    done = work.run_text(ASK, work.unpacked, requests)
    assert done.code == 0, done.output
    return json.loads(done.output)


def single(text: str) -> bytes:
    """The bits of a number as a 32-bit float."""
    return struct.pack("f", float(text))


def predictions(work) -> dict[str, str]:
    lines = (work.folder / "predictions" / "validation.csv.out").read_text().splitlines()
    return dict(line.split(",") for line in lines)


@pytest.fixture(scope="module")
def row(trained) -> list[str]:
    """The first line that the transform job sends for box: key and nine columns."""
    with (trained["box"].out("prepare", "serving") / "validation.csv").open(newline="") as file:
        return next(csv.reader(file))


@pytest.mark.parametrize("model", ["box", "own_container"])
def test_serving_and_training_give_the_same_scores_to_the_last_bit(trained, model):
    work = trained[model]
    done = work.run_text(DIRECT, work.unpacked, work.out("prepare", "validation"))
    assert done.code == 0, done.output
    direct = json.loads(done.output)
    assert len(direct) == work.schema()["rows"]["validation"]
    assert {key: single(text) for key, text in predictions(work).items()} == {
        key: single(text) for key, text in direct.items()
    }


def test_how_a_batch_is_cut_changes_nothing(box):
    whole = predictions(box)
    assert box.predict(group=7).code == 0
    assert predictions(box) == whole


def test_without_a_key_the_answer_is_the_score_alone(trained, row):
    keyed, bare = ask(trained["box"], ",".join(row) + "\n", ",".join(row[1:]))
    assert keyed == f"{row[0]},{bare}"
    assert keyed.strip().split(",")[1] == predictions(trained["box"])[row[0]]


def test_a_category_never_seen_is_like_any_other_rare_one(trained, row):
    inputs = list(trained["box"].schema()["inputs"])
    place = 1 + inputs.index("department")
    names = ("SPACE TRAVEL", "NA", "NULL", "nan")  # names, all of them; only nothing is missing
    first, *others = ask(trained["box"], *(",".join([*row[:place], name, *row[place + 1 :]]) for name in names))
    assert set(others) == {first}
    assert 0 < float(first.split(",")[1]) < 1


def test_missing_values_are_fine_in_any_column_even_all_of_them(trained, row):
    requests = [",".join([row[0], *["" if i == gap else text for i, text in enumerate(row[1:])]]) for gap in range(9)]
    for answer in ask(trained["box"], *requests, row[0] + "," * 9):
        assert 0 < float(answer.split(",")[1]) < 1


def test_missing_is_not_the_same_as_never_seen(trained):
    values = ask(trained["box"], "1,,,,,,,,,\n", "1,,,,,NOWHERE,NOBODY,NOTHING,NONE,NIL\n")
    assert values[0] != values[1]


def test_quotes_commas_and_line_ends_in_names(trained, row):
    inputs = list(trained["box"].schema()["inputs"])
    place = 1 + inputs.index("product_type")
    quoted = [*row[:place], '"ICE, ""CRUSHED"""', *row[place + 1 :]]
    plain = [*row[:place], "NEVER SEEN", *row[place + 1 :]]
    assert len(set(ask(trained["box"], ",".join(quoted), ",".join(plain), ",".join(plain) + "\r\n"))) == 1
    keyed = ask(trained["box"], ",".join(['"a,b"', *row[1:]]))[0]
    assert keyed.startswith('"a,b",')


def test_as_many_answers_as_lines_in_their_order(trained, row):
    lines = [",".join([str(key), *row[1:]]) for key in (3, 1, 2)]
    assert [line.split(",")[0] for line in ask(trained["box"], "\n".join(lines))[0].splitlines()] == ["3", "1", "2"]


def test_an_empty_body_is_no_rows(trained):
    assert ask(trained["box"], "", "\n") == ["", ""]


def test_wrong_requests_say_what_to_send(trained, row):
    few, text = ask(trained["box"], "1,2,3", ",".join([row[0], "cheap", *row[2:]]))
    assert few.startswith("ValueError: line 1 has 3 columns; send 9 (price, discount")
    assert "cheap" in text
    assert "the columns are key, price" in text
    assert "send text/csv" in ask(trained["box"], "{}", content_type="application/json")[0]


def test_a_line_that_is_cut_short_is_an_error_not_a_guess(trained, row):
    answer = ask(trained["box"], ",".join(row) + "\n" + ",".join(row[:5]))[0]
    assert answer.startswith("ValueError: ")


def test_a_model_may_build_on_a_model_that_builds_on_another(trained, tmp_path, unload, products):
    own = trained["own_container"]
    last = type(own)(tmp_path, own.python, "bag", "bag", {"numeric": ["price"], "categorical": ["brand"]})
    last.upstream = {"own_container": own.archive}
    last.all(unload(products[:3000]), rounds=5)
    assert (last.unpacked / "upstream" / "own_container" / "upstream" / "box" / "model.json").exists()
    assert set(last.schema()["inputs"]) == set(own.schema()["inputs"]) | {"price", "brand"}
    assert last.evaluation["importances"]["own_container_score"] > 0
