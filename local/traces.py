"""Tracing headers, by which an API call tells which event of a function it belongs to.

The AWS SDK sends X-Amzn-Trace-Id with what a function's environment holds in _X_AMZN_TRACE_ID, as Lambda sets it:
https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
"""

import time
import uuid

HEADER = "x-amzn-trace-id"


def new_trace() -> str:
    """A header as Lambda makes it: https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html"""
    return f"Root=1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]};Parent={uuid.uuid4().hex[:16]};Sampled=0"


def root_of(trace: str) -> str:
    """The part that all calls of one event have in common; empty for what is no header of ours."""
    return dict(part.partition("=")[::2] for part in trace.split(";")).get("Root", "")
