"""Where MiniStack runs Lambda functions."""

from collections.abc import Callable
from typing import Any

EXPECTED = {
    "ministack.core.lambda_runtime": {
        "invalidate_worker": "func_name qualifier account region",
    },
    "ministack.services.lambda_svc": {
        "_execute_function_warm": "func event request_id",
        "_resolve_layer_zip": "attachment",
        "_throttle_response": "reason_code msg retry_after",
        "invalidate_worker": "func_name qualifier account region",
    },
}
CALLS = {"ministack.services.lambda_svc._execute_function_dispatch": "_execute_function_warm(func, event, request_id)"}


def run_functions(
    run: Callable[[dict[str, Any], bytes, tuple[bytes, ...], Any], dict[str, Any]], forget: Callable[[str], None]
) -> None:
    """Run every Python function through `run(configuration, code, layers, event)`; `forget(name)` when one changes."""
    from ministack.core import lambda_runtime
    from ministack.services import lambda_svc

    original = lambda_svc._execute_function_warm

    def _execute_function_warm(func: dict[str, Any], event: Any, request_id: str) -> dict[str, Any]:
        config, code = func.get("config") or func, func.get("code_zip")
        if not code or not str(config.get("Runtime", "")).startswith("python"):
            told: dict[str, Any] = original(func, event, request_id)
            return told
        layers = tuple(filter(None, (lambda_svc._resolve_layer_zip(layer) for layer in config.get("Layers", []))))
        outcome = run(config, code, layers, event)
        if outcome.get("throttle"):
            throttled: dict[str, Any] = lambda_svc._throttle_response(
                "ConcurrentInvocationLimitExceeded", "Rate Exceeded."
            )
            return throttled
        return outcome

    def invalidate_worker(
        func_name: str, qualifier: str | None = None, account: str | None = None, region: str | None = None
    ) -> None:
        forget(func_name)

    lambda_svc._execute_function_warm = _execute_function_warm
    lambda_svc.invalidate_worker = lambda_runtime.invalidate_worker = invalidate_worker
