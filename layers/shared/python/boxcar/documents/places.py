"""Where documents, their answers and those that failed lie in the data bucket."""

INPUT, OUTPUT, FAILED = "async/input/", "async/output/", "async/failed/"
ANSWERS = "async/answers/"  # where SageMaker writes, under names of its own


def output_key(document: str) -> str:
    """Of the answer to a document: `async/input/2026/report.txt` → `async/output/2026/report.txt.json`."""
    return f"{OUTPUT}{document.removeprefix(INPUT)}.json"


def failed_key(document: str) -> str:
    """Of the copy of a document that failed."""
    return f"{FAILED}{document.removeprefix(INPUT)}"


def reason_key(document: str) -> str:
    """Of why it failed."""
    return f"{failed_key(document)}.reason.json"
