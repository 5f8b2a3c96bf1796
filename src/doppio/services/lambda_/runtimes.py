"""What a runtime's name means on this machine: the program to run, and what it finds around it.

Source: "Lambda runtimes"; "Defined runtime environment variables".
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from doppio.machine import bootstraps, interpreters
from doppio.machine.environments import Environments, Plan
from doppio.machine.interpreters import Interpreter
from doppio.machine.sandbox import GROUP, USER, View
from doppio.services.lambda_.errors import InvalidRuntime
from doppio.services.lambda_.running import Spec

_TASK, _LAYERS, _OURS, _AUTHORITY = "/var/task", "/opt", "/var/runtime", "/var/lang/ca.pem"
_SCRIPTS = Path(bootstraps.__file__).parent
_PASSWD = (
    f"root:x:0:0:root:/:/sbin/nologin\nsbx_user1051:x:{USER}:{GROUP}::/var/task:/sbin/nologin\n"
)
_PATH = "/var/lang/bin:/usr/local/bin:/usr/bin:/bin:/opt/bin"


class Here(NamedTuple):
    """What this cloud is to a function: where it is, and its authority where it speaks TLS."""

    endpoint: str
    authority: Path | None


class Prepared(NamedTuple):
    """How to run a version: without its variables, which an environment gets at its start.

    `said` is the runtime as the log names it.
    """

    family: str
    interpreter: Interpreter | None
    said: str


def prepared(spec: Spec) -> Prepared:
    """What runs a version here. It blocks. Raises InvalidRuntimeException where nothing does."""
    family, version = family_of(spec.runtime)
    if family == "provided":
        if not (spec.code / "bootstrap").exists() and not any(
            (layer / "bootstrap").exists() for layer in spec.layers
        ):
            raise InvalidEntrypoint(
                "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]"
            )
        return Prepared(family, None, spec.runtime)
    if family == "python":
        found: Interpreter | None = interpreters.python(version)
    elif family == "nodejs":
        found = interpreters.node(version)
    else:
        found = None
    if found is None:
        raise InvalidRuntime(
            f"The runtime {spec.runtime} is not on this machine: Python, Node.js where it is "
            "installed, and programs of your own (provided.al2023) run here."
        )
    said = f"{family}:{found.version}"
    if not found.exact:
        said += f" (of this machine, in place of {spec.runtime})"
    return Prepared(family, found, said)


class InvalidEntrypoint(Exception):
    """A package for a custom runtime that has no program."""


def family_of(runtime: str) -> tuple[str, str]:
    """The language of a runtime, and its version."""
    if runtime.startswith("provided"):
        return "provided", ""
    if runtime.startswith("python"):
        return "python", runtime.removeprefix("python")
    if runtime.startswith("nodejs"):
        return "nodejs", runtime.removeprefix("nodejs").removesuffix(".x")
    return runtime, ""


def plan(
    environments: Environments, name: str, spec: Spec, how: Prepared, here: Here,
    credentials: Mapping[str, Any], port: int, stream: str,
) -> Plan:  # fmt: skip
    """The program of an environment, with all that it sees. It blocks."""
    with environments.making:
        readable = _readable(environments, spec, how)
    if here.authority is not None:
        readable[_AUTHORITY] = here.authority
    if how.interpreter is not None and not how.interpreter.root.is_relative_to("/usr"):
        root = how.interpreter.root
        readable[str(root)] = root
    hidden = () if how.interpreter is None else how.interpreter.libraries
    view = View(readable, spec.ephemeral_mb * 2**20, _TASK, hidden=hidden)

    def place(inside: str) -> str:
        return environments.place(name, view, inside)

    return Plan(
        name,
        _command(how, spec, place),
        _variables(spec, how, here, credentials, port, stream, place),
        view,
        spec.memory_mb * 2**20,
    )


def _readable(environments: Environments, spec: Spec, how: Prepared) -> dict[str, Path]:
    """Code, layers and what is ours, by where it is seen; what has to be made for that is made."""
    found = {_TASK: spec.code, **_ours(environments, how.family)}
    if spec.layers:
        found[_LAYERS] = _merged(environments, spec.layers)
    if environments.sandbox:
        found["/etc/passwd"] = _users(environments)
    return found


def _command(how: Prepared, spec: Spec, place: Any) -> tuple[str, ...]:
    if how.interpreter is None:
        own = (spec.code / "bootstrap").exists()
        return (place(f"{_TASK if own else _LAYERS}/bootstrap"),)
    program = str(how.interpreter.program)
    if how.family == "python":
        return (program, place(f"{_OURS}/bootstrap.py"))
    old_space = max(spec.memory_mb * 9 // 10, 64)
    return (program, f"--max-old-space-size={old_space}", place(f"{_OURS}/bootstrap.mjs"))


def _ours(environments: Environments, family: str) -> dict[str, Path]:
    """What is at /var/runtime."""
    if family == "provided":
        return {}
    script = _SCRIPTS / ("python.py" if family == "python" else "node.mjs")
    parts = {f"bootstrap{script.suffix}": script}
    if family == "python":
        parts.update(interpreters.python_libraries())
    if environments.sandbox:
        return {f"{_OURS}/{name}": path for name, path in parts.items()}
    folder = environments.folder(f"runtime-{family}")
    for name, path in parts.items():
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(path)
    return {_OURS: folder}


def _users(environments: Environments) -> Path:
    """Who there is, so that a program may ask who it is."""
    path = environments.folder("etc") / "passwd"
    if not path.exists():
        rough = path.with_name("passwd.new")
        rough.write_text(_PASSWD)
        rough.rename(path)
    return path


def _merged(environments: Environments, layers: tuple[Path, ...]) -> Path:
    """Layers laid over each other: one is there as it is, several are copied into one folder."""
    if len(layers) == 1:
        return layers[0]
    name = "layers-" + "-".join(layer.name for layer in layers)
    folder = environments.folder("layers") / name
    if not folder.exists():
        rough = environments.folder("layers") / f"{name}.new"
        shutil.rmtree(rough, ignore_errors=True)
        for layer in layers:
            shutil.copytree(layer, rough, symlinks=True, dirs_exist_ok=True)
        rough.rename(folder)
    return folder


def _variables(
    spec: Spec, how: Prepared, here: Here, credentials: Mapping[str, Any], port: int, stream: str,
    place: Any,
) -> dict[str, str]:  # fmt: skip
    found = {
        "PATH": _PATH,
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "LD_LIBRARY_PATH": f"{place(_TASK)}:{place(_TASK)}/lib:{place(_LAYERS)}/lib",
        "AWS_ENDPOINT_URL": here.endpoint,
        # Names below the endpoint's (`ROUTE.localhost`) need not resolve, and are not needed.
        "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
    }
    if here.authority is not None:
        found["AWS_CA_BUNDLE"] = found["NODE_EXTRA_CA_CERTS"] = place(_AUTHORITY)
    if how.interpreter is not None:
        found["PATH"] = f"{how.interpreter.program.parent}:{_PATH}"
    if how.family == "python":
        found["PYTHONPATH"] = place(_OURS)
        # Told to the bootstrap alone, which takes it away.
        found["_DOPPIO_LAYERS"] = place(_LAYERS)
    if how.family == "nodejs":
        found["NODE_PATH"] = f"{place(_LAYERS)}/nodejs/node_modules:{place(_OURS)}/node_modules"
    if place("/tmp") != "/tmp":  # noqa: S108 - inside, it is its own
        found["TMPDIR"] = place("/tmp")  # noqa: S108
    found.update(spec.environment)
    found.update({
        "_HANDLER": spec.handler,
        "AWS_REGION": spec.region,
        "AWS_DEFAULT_REGION": spec.region,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{spec.runtime}",
        "AWS_LAMBDA_FUNCTION_NAME": spec.name,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(spec.memory_mb),
        "AWS_LAMBDA_FUNCTION_VERSION": spec.version,
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": spec.log_group,
        "AWS_LAMBDA_LOG_STREAM_NAME": stream,
        "AWS_LAMBDA_LOG_FORMAT": spec.log_format,
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": credentials["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": credentials["SecretAccessKey"],
        "AWS_SESSION_TOKEN": credentials["SessionToken"],
        "LAMBDA_TASK_ROOT": place(_TASK),
        "LAMBDA_RUNTIME_DIR": place(_OURS),
    })  # fmt: skip
    if spec.application_log_level:
        found["AWS_LAMBDA_LOG_LEVEL"] = spec.application_log_level
    return found
