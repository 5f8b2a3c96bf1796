"""What a request configures of a function: read, checked, and shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from doppio.services.lambda_ import limits
from doppio.services.lambda_.errors import InvalidParameterValue, Validation
from doppio.services.lambda_.records import Config, Logging, Version
from doppio.wire.errors import NotImplementedByDoppio
from doppio.wire.json_write import dumps
from doppio.wire.timestamps import format_iso8601_offset

RUNTIMES = (
    "nodejs18.x", "nodejs20.x", "nodejs22.x", "nodejs24.x", "java8.al2", "java11", "java17",
    "java21", "java25", "python3.9", "python3.10", "python3.11", "python3.12", "python3.13",
    "python3.14", "dotnet6", "dotnet8", "dotnet10", "ruby3.2", "ruby3.3", "ruby3.4",
    "provided.al2", "provided.al2023",
)  # fmt: skip
# Once there, and by now for functions that exist alone.
OLD_RUNTIMES = frozenset({
    "nodejs", "nodejs4.3", "nodejs4.3-edge", "nodejs6.10", "nodejs8.10", "nodejs10.x",
    "nodejs12.x", "nodejs14.x", "nodejs16.x", "java8", "python2.7", "python3.6", "python3.7",
    "python3.8", "dotnetcore1.0", "dotnetcore2.0", "dotnetcore2.1", "dotnetcore3.1", "go1.x",
    "ruby2.5", "ruby2.7", "provided",
})  # fmt: skip
RESERVED_VARIABLES = frozenset({
    "_HANDLER", "_X_AMZN_TRACE_ID", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
    "AWS_LAMBDA_RUNTIME_API", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR",
})  # fmt: skip
# What AWS acts on and this cloud does not; nothing but what it says anyway is taken of it.
_ABSENT = (
    "FileSystemConfigs", "ImageConfig", "TenancyConfig", "CapacityProviderConfig",
    "DurableConfig", "RuntimeConfig", "AcceleratorConfig", "CodeSigningConfigArn", "PublishTo",
)  # fmt: skip

_OF_STATE = (
    "State", "StateReason", "StateReasonCode", "LastUpdateStatus", "LastUpdateStatusReason",
    "LastUpdateStatusReasonCode",
)  # fmt: skip


def configured(old: Config, req: Mapping[str, Any]) -> Config:
    """A configuration with what a request says of it; what is not given stays."""
    _refuse(req)
    new = replace(
        old,
        role=req.get("Role", old.role),
        runtime=req.get("Runtime", old.runtime),
        handler=req.get("Handler", old.handler),
        description=req.get("Description", old.description),
        timeout_seconds=_at_most(req, "Timeout", limits.TIMEOUT_SECONDS_MAX, old.timeout_seconds),
        memory_mb=_at_most(req, "MemorySize", limits.MEMORY_MB_MAX, old.memory_mb),
        ephemeral_mb=req.get("EphemeralStorage", {}).get("Size", old.ephemeral_mb),
    )
    if "Environment" in req:
        variables = _variables(req["Environment"].get("Variables") or {})
        new = replace(new, variables=variables, sealed=None)
    if "KMSKeyArn" in req:
        new = replace(new, kms_key=req["KMSKeyArn"] or None)
    if "DeadLetterConfig" in req:
        new = replace(new, dead_letter=req["DeadLetterConfig"].get("TargetArn") or None)
    if "LoggingConfig" in req:
        new = replace(new, logging=_logging(old.logging, req["LoggingConfig"]))
    if "Architectures" in req:
        new = replace(new, architectures=architectures(req["Architectures"]))
    if "Runtime" in req:
        _check_runtime(req["Runtime"])
    if new.package_type == "Zip" and not (new.runtime and new.handler):
        raise InvalidParameterValue(
            "Runtime and Handler are mandatory parameters for functions created with deployment "
            "packages."
        )
    return new


def architectures(given: list[str]) -> tuple[str, ...]:
    """The one architecture of a function. Raises InvalidParameterValueException."""
    if len(given) != 1:
        raise InvalidParameterValue(
            f"Value '{given}' at 'architectures' failed to satisfy constraint: Member must have "
            "length less than or equal to 1"
        )
    return tuple(given)


def _refuse(req: Mapping[str, Any]) -> None:
    for name in _ABSENT:
        if req.get(name):
            raise NotImplementedByDoppio(f"{name} is not supported by this cloud.")
    if req.get("PackageType", "Zip") != "Zip":
        raise NotImplementedByDoppio(
            "Functions from container images are not supported by this cloud: give a zip file."
        )
    vpc = req.get("VpcConfig") or {}
    if vpc.get("SubnetIds") or vpc.get("SecurityGroupIds"):
        raise NotImplementedByDoppio("VpcConfig is not supported by this cloud: it has no VPCs.")
    if (req.get("SnapStart") or {}).get("ApplyOn", "None") != "None":
        raise NotImplementedByDoppio("SnapStart is not supported by this cloud.")
    if (req.get("TracingConfig") or {}).get("Mode", "PassThrough") != "PassThrough":
        raise NotImplementedByDoppio("Active tracing is not supported: there is no X-Ray here.")


def _check_runtime(runtime: str) -> None:
    if runtime in OLD_RUNTIMES:
        raise InvalidParameterValue(
            f"The runtime parameter of {runtime} is no longer supported for creating or updating "
            "AWS Lambda functions. We recommend you use a supported runtime while creating or "
            "updating functions."
        )
    if runtime not in RUNTIMES:
        raise InvalidParameterValue(
            f"Value {runtime} at 'runtime' failed to satisfy constraint: Member must satisfy enum "
            f"value set: [{', '.join(RUNTIMES)}] or be a valid ARN"
        )


def _at_most(req: Mapping[str, Any], member: str, most: int, old: int) -> int:
    value: int = req.get(member, old)
    if value > most:
        name = member[0].lower() + member[1:]
        raise Validation(
            f"1 validation error detected: Value '{value}' at '{name}' failed to satisfy "
            f"constraint: Member must have value less than or equal to {most}"
        )
    return value


def _variables(given: dict[str, str]) -> dict[str, str]:
    reserved = sorted(RESERVED_VARIABLES & given.keys())
    if reserved:
        raise InvalidParameterValue(
            "Lambda was unable to configure your environment variables because the environment "
            "variables you have provided contains reserved keys that are currently not supported "
            f"for modification. Reserved keys used in this request: {', '.join(reserved)}"
        )
    measured = dumps(given)
    if len(measured) > limits.ENVIRONMENT_BYTES_MAX:
        raise InvalidParameterValue(
            "Lambda was unable to configure your environment variables because the environment "
            "variables you have provided exceeded the 4KB limit. String measured: "
            f"{measured.decode()}"
        )
    return given


def _logging(old: Logging, given: Mapping[str, Any]) -> Logging:
    new = Logging(
        format=given.get("LogFormat", old.format),
        group=given.get("LogGroup", old.group),
        application_level=given.get("ApplicationLogLevel", old.application_level),
        system_level=given.get("SystemLogLevel", old.system_level),
    )
    if new.format == "JSON":
        return replace(
            new,
            application_level=new.application_level or "INFO",
            system_level=new.system_level or "INFO",
        )
    if given.get("ApplicationLogLevel") or given.get("SystemLogLevel"):
        raise InvalidParameterValue(
            "To use ApplicationLogLevel or SystemLogLevel, you must set your LogFormat to JSON."
        )
    return replace(new, application_level=None, system_level=None)


def log_group(version: Version) -> str:
    """Where a version logs."""
    return version.config.logging.group or f"/aws/lambda/{version.function}"


def shown(version: Version, *, qualified: bool = True) -> dict[str, Any]:
    """A version as FunctionConfiguration. `$LATEST` bears its qualifier where one was asked for."""
    config = version.config
    logging = config.logging
    told: dict[str, Any] = {
        "FunctionName": version.function,
        "FunctionArn": version.arn if qualified else version.function_arn,
        "Runtime": config.runtime,
        "Role": config.role,
        "Handler": config.handler,
        "CodeSize": config.code_bytes,
        "Description": config.description,
        "Timeout": config.timeout_seconds,
        "MemorySize": config.memory_mb,
        "LastModified": format_iso8601_offset(version.modified_at),
        "CodeSha256": config.sha256,
        "Version": version.name,
        "TracingConfig": {"Mode": config.tracing},
        "RevisionId": version.revision,
        "State": version.state,
        "LastUpdateStatus": version.update,
        "PackageType": config.package_type,
        "Architectures": list(config.architectures),
        "EphemeralStorage": {"Size": config.ephemeral_mb},
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
        "LoggingConfig": {"LogFormat": logging.format, "LogGroup": log_group(version)},
    }
    if config.variables:
        told["Environment"] = {"Variables": config.variables}
    if config.kms_key is not None:
        told["KMSKeyArn"] = config.kms_key
    if config.dead_letter is not None:
        told["DeadLetterConfig"] = {"TargetArn": config.dead_letter}
    if config.layers:
        told["Layers"] = [
            {"Arn": layer.arn, "CodeSize": layer.code_bytes} for layer in config.layers
        ]
    levels = {
        "ApplicationLogLevel": logging.application_level,
        "SystemLogLevel": logging.system_level,
    }
    told["LoggingConfig"] |= _said(levels)
    reasons = {
        "StateReason": version.state_reason,
        "StateReasonCode": version.state_code,
        "LastUpdateStatusReason": version.update_reason,
        "LastUpdateStatusReasonCode": version.update_code,
    }
    return told | _said(reasons)


def listed(version: Version, *, qualified: bool = True) -> dict[str, Any]:
    """A version as lists show it: without its state."""
    told = shown(version, qualified=qualified)
    for member in _OF_STATE:
        told.pop(member, None)
    return told


def _said(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
