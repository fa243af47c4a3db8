"""Where MiniStack's CloudFormation makes resources."""

from typing import Any

EXPECTED = {
    "ministack.services.cloudformation": {"_stacks": "AccountRegionScopedDict"},
    "ministack.services.cloudformation.provisioners": {
        "_RESOURCE_HANDLERS": "dict",
        "_physical_name": "stack_name logical_id lowercase max_len seeded",
        "_sfn_definition": "props",
        "_rename_replacement": "physical_id old_props new_props stack_name logical_id declared_name current_name "
        "create_fn delete_fn delete_when_id_unchanged",
    },
    "ministack.services.cloudformation.stacks": {"_runs_on_worker_thread": "resource_type"},
    "ministack.services.apigateway_v1": {
        "find_api_scope": "api_id",
        "stages_for_api": "api_id",
    },
    "ministack.services.dynamodb": {
        "_update_ttl": "data",
    },
    "ministack.services.scheduler": {
        "_schedules": "AccountRegionScopedDict",
    },
}
CALLS = {
    "ministack.services.cloudformation.provisioners._provision_resource": "_RESOURCE_HANDLERS.get(resource_type)",
    "ministack.services.cloudformation.stacks._deploy_stack_async": "elif _runs_on_worker_thread(resource_type):",
}
Provisioner = dict[str, Any]


def provision(resource_type: str, provisioner: Provisioner) -> None:
    """Make, change and delete a resource type in stacks: create(logical_id, properties, stack) → (id, attributes), …"""
    from ministack.services.cloudformation import provisioners

    provisioners._RESOURCE_HANDLERS[resource_type] = {**provisioner, "update_with_logical_id": True}


def provision_in_threads(prefix: str) -> None:
    """Let resource types that begin so be made in threads: what makes them waits for answers of this server."""
    from ministack.services.cloudformation import stacks

    original = stacks._runs_on_worker_thread

    def runs_on_worker_thread(resource_type: str) -> bool:
        return resource_type.startswith(prefix) or bool(original(resource_type))

    stacks._runs_on_worker_thread = runs_on_worker_thread


def machine_properties(properties: dict[str, Any], stack: str, logical_id: str) -> tuple[str, str]:
    """Return the name and the definition (from S3 or in line, substituted) of a state machine in a template."""
    from ministack.services.cloudformation import provisioners

    name = properties.get("StateMachineName") or provisioners._physical_name(stack, logical_id, max_len=80)
    return name, provisioners._sfn_definition(properties)


def physical_name(stack: str, logical_id: str, longest: int) -> str:
    """The name that CloudFormation gives to a resource without one."""
    from ministack.services.cloudformation import provisioners

    name: str = provisioners._physical_name(stack, logical_id, max_len=longest)
    return name


def renamed(*arguments: Any) -> tuple[str, dict[str, Any]] | None:
    """Replace a resource whose name changed (see provisioners._rename_replacement); None if it did not change."""
    from ministack.services.cloudformation import provisioners

    told: tuple[str, dict[str, Any]] | None = provisioners._rename_replacement(*arguments)
    return told


def complete_tables() -> None:
    """Give tables made by stacks their TimeToLiveSpecification, which MiniStack's provisioner drops."""
    from ministack.services import dynamodb
    from ministack.services.cloudformation import provisioners

    handlers = provisioners._RESOURCE_HANDLERS["AWS::DynamoDB::Table"]
    create, update = handlers["create"], handlers["update"]

    def expire(table: str, properties: dict[str, Any]) -> None:
        told = properties.get("TimeToLiveSpecification")
        if told:
            enabled = str(told.get("Enabled", True)).lower() == "true"
            specification = {"AttributeName": told["AttributeName"], "Enabled": enabled}
            dynamodb._update_ttl({"TableName": table, "TimeToLiveSpecification": specification})

    def created(logical_id: str, properties: dict[str, Any], stack: str) -> Any:
        made = create(logical_id, properties, stack)
        expire(made[0], properties)
        return made

    def updated(
        physical_id: str, old: dict[str, Any], new: dict[str, Any], stack: str, logical_id: str | None = None
    ) -> Any:
        made = update(physical_id, old, new, stack, logical_id)
        expire(made[0], new)
        return made

    handlers.update(create=created, update=updated)


def complete_schedules() -> None:
    """Give schedules made by stacks their time zone, start and end, which MiniStack's provisioner drops."""
    from ministack.services import scheduler
    from ministack.services.cloudformation import provisioners

    handlers = provisioners._RESOURCE_HANDLERS["AWS::Scheduler::Schedule"]
    dropped = ("ScheduleExpressionTimezone", "StartDate", "EndDate", "KmsKeyArn", "ActionAfterCompletion")

    def complete(made: Any, properties: dict[str, Any]) -> Any:
        for (_, _, key), record in list(scheduler._schedules._data.items()):
            if key == f"{properties.get('GroupName', 'default')}/{made[0]}":
                record.update({name: properties[name] for name in dropped if name in properties})
        return made

    create, update = handlers["create"], handlers["update"]
    handlers.update(
        create=lambda logical_id, new, stack: complete(create(logical_id, new, stack), new),
        update=lambda physical_id, old, new, stack: complete(update(physical_id, old, new, stack), new),
    )


def complete_stages() -> None:
    """Give stages of REST APIs made by stacks their AccessLogSetting, which MiniStack's provisioner drops."""
    from ministack.services import apigateway_v1
    from ministack.services.cloudformation import provisioners

    handlers = provisioners._RESOURCE_HANDLERS["AWS::ApiGateway::Stage"]

    def complete(made: Any, properties: dict[str, Any]) -> Any:
        told = properties.get("AccessLogSetting") or {}
        settings = {"destinationArn": told.get("DestinationArn", ""), "format": told.get("Format", "")}
        stage = apigateway_v1.stages_for_api(properties["RestApiId"])[properties["StageName"]]
        stage["accessLogSettings"] = settings if told else {}
        return made

    create, update = handlers["create"], handlers["update"]
    handlers.update(
        create=lambda logical_id, new, stack: complete(create(logical_id, new, stack), new),
        update=lambda physical_id, old, new, stack: complete(update(physical_id, old, new, stack), new),
    )


def stack_is_changing(stack: str) -> bool:
    """Whether a stack, given by name or ARN, is being made, changed or deleted right now."""
    from ministack.services import cloudformation

    name = stack.split("/")[1] if stack.startswith("arn:") else stack
    found = [record for key, record in list(cloudformation._stacks._data.items()) if key[-1] == name]
    status = str(found[0].get("StackStatus", "")) if found else ""
    return status.endswith("_IN_PROGRESS") and status != "REVIEW_IN_PROGRESS"  # that one waits for its change set
