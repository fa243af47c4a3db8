"""Arguments of a job. https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-crawler-pyspark-extensions-get-resolved-options.html"""

import argparse
from typing import NoReturn


class GlueArgumentError(Exception):
    """An option that was asked for was not given."""

    __module__ = "awsglue.utils"  # the name by which scripts and their messages know it


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise GlueArgumentError(message)


def getResolvedOptions(args: list[str], options: list[str]) -> dict[str, str]:  # noqa: N802
    """The values of `options` in `args` (sys.argv), by name without hyphens.

    Raises:
        GlueArgumentError: one is missing.
    """
    parser = _Parser(allow_abbrev=False)
    for option in options:
        parser.add_argument(f"--{option}", required=True)
    known, _ = parser.parse_known_args(args[1:])
    return {option: getattr(known, option.replace("-", "_")) for option in options}
