"""The fields of the Map state, inline and distributed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.stepfunctions import definition as asl
from local.stepfunctions.definition import MISSING
from local.stepfunctions.jsonata import is_expression

if TYPE_CHECKING:
    from local.stepfunctions.parse import Reader

DISTRIBUTED_ONLY = ("ItemReader", "ItemBatcher", "ResultWriter", "Label")
READERS = ("arn:aws:states:::s3:getObject", "arn:aws:states:::s3:listObjectsV2")
INPUT_TYPES = ("JSON", "JSONL", "CSV", "MANIFEST")
DELIMITERS = {"COMMA": ",", "PIPE": "|", "SEMICOLON": ";", "SPACE": " ", "TAB": "\t"}


def map_fields(reader: Reader, raw: dict[str, Any], where: str, language: str) -> dict[str, Any]:
    """The keyword arguments of `definition.Map`."""
    processor = raw.get("ItemProcessor")
    if not isinstance(processor, dict):
        reader.wrong("The field 'ItemProcessor' must be an object", f"{where}/ItemProcessor")
        processor = {}
    at = f"{where}/ItemProcessor"
    reader.only(processor, {"ProcessorConfig", "StartAt", "States", "Comment"}, at)
    config = processor.get("ProcessorConfig", {})
    mode = config.get("Mode", "INLINE")
    if mode not in ("INLINE", "DISTRIBUTED"):
        reader.wrong("The field 'Mode' must be 'INLINE' or 'DISTRIBUTED'", f"{at}/ProcessorConfig/Mode")
    child = config.get("ExecutionType", "STANDARD")
    if mode == "DISTRIBUTED" and "ExecutionType" not in config:
        reader.wrong("These fields are required: [ExecutionType]", f"{at}/ProcessorConfig")
    elif mode == "DISTRIBUTED" and child not in ("STANDARD", "EXPRESS"):
        reader.wrong("The field 'ExecutionType' must be 'STANDARD' or 'EXPRESS'", f"{at}/ProcessorConfig/ExecutionType")
    reader.only(config, {"Mode", "ExecutionType"}, f"{at}/ProcessorConfig")
    if mode == "INLINE":
        for name in DISTRIBUTED_ONLY:
            if name in raw:
                reader.wrong(f"The field '{name}' needs the processor mode 'DISTRIBUTED'", f"{where}/{name}")
    items = raw.get("Items", MISSING)
    if items is not MISSING and not isinstance(items, list | dict) and not is_expression(items):
        reader.wrong("The field 'Items' must be an array, an object or a JSONata expression", f"{where}/Items")
    if "Items" in raw and "ItemReader" in raw:
        reader.wrong("Only one of 'Items' and 'ItemReader' may be there", where)
    label = raw.get("Label", "")
    if not isinstance(label, str) or len(label) > 40:
        reader.wrong("The field 'Label' must be a string of at most 40 characters", f"{where}/Label")
    return {
        "processor": reader.program(processor, at, language),
        "items": reader.template(raw, "Items", where),
        "selector": reader.template(raw, "ItemSelector", where),
        "max_concurrency": reader.scalar(raw, "MaxConcurrency", where, 0),
        "distributed": mode == "DISTRIBUTED",
        "child_type": child,
        "label": label,
        "tolerated_count": reader.scalar(raw, "ToleratedFailureCount", where, 0),
        "tolerated_percentage": tolerated_percentage(reader, raw, where),
        "reader": item_reader(reader, raw["ItemReader"], where) if "ItemReader" in raw else None,
        "batcher": item_batcher(reader, raw["ItemBatcher"], where) if "ItemBatcher" in raw else None,
        "writer": result_writer(reader, raw["ResultWriter"], where) if "ResultWriter" in raw else None,
    }


def tolerated_percentage(reader: Reader, raw: dict[str, Any], where: str) -> Any:
    """From 0 to 100, fractions allowed."""
    value = raw.get("ToleratedFailurePercentage", 0)
    number = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 100
    if not number and not is_expression(value):
        reader.wrong(
            "The field 'ToleratedFailurePercentage' must be from 0 to 100 or a JSONata expression",
            f"{where}/ToleratedFailurePercentage",
        )
    return reader.template(raw, "ToleratedFailurePercentage", where)


def item_reader(reader: Reader, raw: Any, state: str) -> asl.Reader | None:
    """ItemReader of a distributed Map."""
    where = f"{state}/ItemReader"
    if not isinstance(raw, dict):
        reader.wrong("The field 'ItemReader' must be an object", where)
        return None
    reader.only(raw, {"Resource", "Arguments", "ReaderConfig", "Comment"}, where)
    resource = raw.get("Resource")
    if resource not in READERS:
        reader.wrong(f"The field 'Resource' must be one of {', '.join(READERS)}", f"{where}/Resource")
        return None
    config = raw.get("ReaderConfig", {})
    at = f"{where}/ReaderConfig"
    reader.only(
        config, {"InputType", "CSVHeaderLocation", "CSVHeaders", "CSVDelimiter", "MaxItems", "ItemsPointer"}, at
    )
    kind = config.get("InputType", "")
    if resource.endswith("getObject") and kind not in INPUT_TYPES:
        reader.wrong(f"The field 'InputType' must be one of {', '.join(INPUT_TYPES)}", f"{at}/InputType")
    header = config.get("CSVHeaderLocation", "FIRST_ROW")
    if header not in ("FIRST_ROW", "GIVEN"):
        reader.wrong("The field 'CSVHeaderLocation' must be 'FIRST_ROW' or 'GIVEN'", f"{at}/CSVHeaderLocation")
    if header == "GIVEN" and not config.get("CSVHeaders"):
        reader.wrong("The field 'CSVHeaders' must be there when 'CSVHeaderLocation' is 'GIVEN'", f"{at}/CSVHeaders")
    if config.get("CSVDelimiter", "COMMA") not in DELIMITERS:
        reader.wrong(f"The field 'CSVDelimiter' must be one of {', '.join(DELIMITERS)}", f"{at}/CSVDelimiter")
    return asl.Reader(
        resource, reader.template(raw, "Arguments", where, "ItemReader/Arguments"), kind, header == "FIRST_ROW",
        tuple(config.get("CSVHeaders", ())), DELIMITERS.get(config.get("CSVDelimiter", "COMMA"), ","),
        reader.scalar(config, "MaxItems", at, 1, "ItemReader/ReaderConfig/MaxItems"),
        reader.template(config, "ItemsPointer", at, "ItemReader/ReaderConfig/ItemsPointer"),
    )  # fmt: skip


def item_batcher(reader: Reader, raw: Any, state: str) -> asl.Batcher | None:
    """ItemBatcher of a distributed Map."""
    where = f"{state}/ItemBatcher"
    if not isinstance(raw, dict):
        reader.wrong("The field 'ItemBatcher' must be an object", where)
        return None
    reader.only(raw, {"MaxItemsPerBatch", "MaxInputBytesPerBatch", "BatchInput", "Comment"}, where)
    if not {"MaxItemsPerBatch", "MaxInputBytesPerBatch"} & set(raw):
        reader.wrong("One of 'MaxItemsPerBatch' and 'MaxInputBytesPerBatch' must be there", where)
    return asl.Batcher(
        reader.scalar(raw, "MaxItemsPerBatch", where, 1, "ItemBatcher/MaxItemsPerBatch"),
        reader.scalar(raw, "MaxInputBytesPerBatch", where, 1, "ItemBatcher/MaxInputBytesPerBatch"),
        reader.template(raw, "BatchInput", where, "ItemBatcher/BatchInput"),
    )  # fmt: skip


def result_writer(reader: Reader, raw: Any, state: str) -> asl.Writer | None:
    """ResultWriter of a distributed Map."""
    where = f"{state}/ResultWriter"
    if not isinstance(raw, dict):
        reader.wrong("The field 'ResultWriter' must be an object", where)
        return None
    reader.only(raw, {"Resource", "Arguments", "WriterConfig", "Comment"}, where)
    if raw.get("Resource", "arn:aws:states:::s3:putObject") != "arn:aws:states:::s3:putObject":
        reader.wrong("The field 'Resource' must be arn:aws:states:::s3:putObject", f"{where}/Resource")
    if ("Resource" in raw) != ("Arguments" in raw):
        reader.wrong("'Resource' and 'Arguments' go together", where)
    config = raw.get("WriterConfig", {})
    reader.only(config, {"OutputType", "Transformation"}, f"{where}/WriterConfig")
    for name, values in (("OutputType", ("JSON", "JSONL")), ("Transformation", ("NONE", "COMPACT", "FLATTEN"))):
        if config.get(name, values[0]) not in values:
            reader.wrong(f"The field '{name}' must be one of {', '.join(values)}", f"{where}/WriterConfig/{name}")
    return asl.Writer(
        raw.get("Resource", ""), reader.template(raw, "Arguments", where, "ResultWriter/Arguments"),
        config.get("Transformation", "NONE"), config.get("OutputType", "JSON"),
    )  # fmt: skip
