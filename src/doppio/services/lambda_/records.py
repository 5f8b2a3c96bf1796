"""What Lambda stores: functions, their versions and aliases, and the packages of their code."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from doppio.kernel.events import Event
from doppio.kernel.records import Index, record
from doppio.kernel.shard_batches import Waiting
from doppio.services.lambda_ import limits

# The qualifier of the version that can be changed.
LATEST = "$LATEST"


class Logging(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a function logs, and how."""

    format: str = "Text"
    group: str | None = None
    application_level: str | None = None
    system_level: str | None = None


class Layered(msgspec.Struct, frozen=True, kw_only=True):
    """A layer that a function has, and the package of its content: it stays when the layer goes."""

    arn: str
    package: str
    code_bytes: int
    unzipped_bytes: int


class Config(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is configured of a version: what makes two versions alike or not.

    `sealed` is the environment where a customer's key protects it; `variables` is empty then.
    """

    role: str
    runtime: str | None = None
    handler: str | None = None
    description: str = ""
    timeout_seconds: int = limits.TIMEOUT_SECONDS_DEFAULT
    memory_mb: int = limits.MEMORY_MB_DEFAULT
    ephemeral_mb: int = limits.EPHEMERAL_MB_DEFAULT
    variables: dict[str, str] = {}
    sealed: bytes | None = None
    kms_key: str | None = None
    layers: tuple[Layered, ...] = ()
    architectures: tuple[str, ...] = ("x86_64",)
    package_type: str = "Zip"
    logging: Logging = Logging()
    dead_letter: str | None = None
    tracing: str = "PassThrough"
    package: str = ""
    sha256: str = ""
    code_bytes: int = 0
    unzipped_bytes: int = 0


@record("lambda.function", key=("account", "region", "name"))
class Function(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A function. `id` tells it from another that has had its name.

    `newest` is the number of the last version, also when that is deleted; `reserved` its reserved
    concurrency.
    """

    account: str
    region: str
    name: str
    partition: str
    id: str
    created_at: datetime
    tags: dict[str, str] = {}
    newest: int = 0
    reserved: int | None = None

    @property
    def arn(self) -> str:
        """Its ARN, without a qualifier."""
        where = f"arn:{self.partition}:lambda:{self.region}:{self.account}"
        return f"{where}:function:{self.name}"


USED: Index[Version] = Index("used", ("package",))


@record("lambda.version", key=("account", "region", "function", "number"), indexes=(USED,))
class Version(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A version: number 0 is `$LATEST`, which changes; the others were published, and do not.

    `revision` changes whenever anything of it does.
    """

    account: str
    region: str
    function: str
    number: int
    partition: str
    config: Config
    modified_at: datetime
    revision: str
    state: str = "Pending"
    state_reason: str | None = None
    state_code: str | None = None
    update: str = "Successful"
    update_reason: str | None = None
    update_code: str | None = None

    @property
    def package(self) -> str:
        """The package of its code, for the index of what is in use."""
        return self.config.package

    @property
    def name(self) -> str:
        """Its qualifier."""
        return str(self.number) if self.number else LATEST

    @property
    def arn(self) -> str:
        """Its ARN, with the qualifier."""
        return f"{self.function_arn}:{self.name}"

    @property
    def function_arn(self) -> str:
        """Its function's ARN."""
        where = f"arn:{self.partition}:lambda:{self.region}:{self.account}"
        return f"{where}:function:{self.function}"


@record("lambda.alias", key=("account", "region", "function", "name"))
class Alias(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A name for a version; `weights` are what others get of its calls, by number."""

    account: str
    region: str
    function: str
    name: str
    partition: str
    number: int
    revision: str
    description: str = ""
    weights: dict[str, float] = {}

    @property
    def arn(self) -> str:
        """Its ARN: the function's, and its name as the qualifier."""
        where = f"arn:{self.partition}:lambda:{self.region}:{self.account}"
        return f"{where}:function:{self.function}:{self.name}"

    @property
    def version(self) -> str:
        """The qualifier of its version."""
        return str(self.number) if self.number else LATEST


@record("lambda.layer", key=("account", "region", "name"))
class Layer(msgspec.Struct, frozen=True, kw_only=True):
    """A layer; `newest` is the number of its last version, also when that is deleted."""

    account: str
    region: str
    name: str
    newest: int = 0


HELD: Index[LayerVersion] = Index("held", ("package",))


@record("lambda.layer_version", key=("account", "region", "layer", "number"), indexes=(HELD,))
class LayerVersion(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A version of a layer."""

    account: str
    region: str
    layer: str
    number: int
    partition: str
    created_at: datetime
    package: str
    sha256: str
    code_bytes: int
    unzipped_bytes: int
    description: str = ""
    license: str | None = None
    runtimes: tuple[str, ...] = ()
    architectures: tuple[str, ...] = ()

    @property
    def layer_arn(self) -> str:
        """Its layer's ARN."""
        where = f"arn:{self.partition}:lambda:{self.region}:{self.account}"
        return f"{where}:layer:{self.layer}"

    @property
    def arn(self) -> str:
        """Its ARN, with the number."""
        return f"{self.layer_arn}:{self.number}"


@record("lambda.layer_use", key=("package", "account", "region", "function", "number"))
class LayerUse(msgspec.Struct, frozen=True, kw_only=True):
    """That a version has a layer's package, which stays for as long."""

    package: str
    account: str
    region: str
    function: str
    number: int


@record("lambda.package", key=("id",))
class Package(msgspec.Struct, frozen=True, kw_only=True):
    """A zip file of code, as it was given; `id` is its blob's. It is there before its bytes are."""

    id: str
    account: str
    region: str
    written_at: datetime


@record("lambda.event_invoke", key=("account", "region", "function", "qualifier"))
class EventInvoke(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How asynchronous calls of a function, version or alias are retried, and who hears of them.

    `qualifier` is `$LATEST`, a number or an alias.
    """

    account: str
    region: str
    function: str
    qualifier: str
    modified_at: datetime
    retries: int | None = None
    age_seconds: int | None = None
    on_success: str | None = None
    on_failure: str | None = None


@record("lambda.holdings", key=("account", "region"))
class Holdings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an account has in a Region: bytes of code, functions, and executions that are reserved."""

    account: str
    region: str
    code_bytes: int = 0
    functions: int = 0
    reserved: int = 0


@record("lambda.queued", key=("id",))
class Queued(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An asynchronous event that was accepted and is not over; `id` is its request's.

    `account` is the function's; `arn` is what was called, with its qualifier. `attempts` are the
    invocations that failed, `throttles` those that could not begin.
    """

    id: str
    account: str
    region: str
    function: str
    arn: str
    qualifier: str | None
    payload: bytes
    received_at: datetime
    due_at: datetime
    client_context: str = ""
    attempts: int = 0
    throttles: int = 0


@record("lambda.policy", key=("account", "region", "function", "qualifier"))
class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """The resource policy of a function, or of a version or alias; `qualifier` is empty or theirs."""

    account: str
    region: str
    function: str
    qualifier: str
    revision: str
    statements: tuple[dict[str, Any], ...]


class MappingChanged(Event, frozen=True, kw_only=True):
    """A user wants something else of an event source mapping."""


@record("lambda.mapping", key=("account", "region", "id"))
class Mapping(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What brings the records of an event source to a function.

    `given` is how, as on the wire; `state` is what it does, `wanted` what its user wants: Enabled,
    Disabled or Deleted.
    """

    account: str
    region: str
    id: str
    partition: str
    source: str
    function: str
    qualifier: str | None
    modified_at: datetime
    given: dict[str, Any]
    created_at: datetime | None = None
    wanted: str = "Enabled"
    state: str = "Creating"
    reason: str = "USER_INITIATED"
    result: str = ""
    tags: dict[str, str] = {}

    @property
    def arn(self) -> str:
        """Its ARN."""
        where = f"arn:{self.partition}:lambda:{self.region}:{self.account}"
        return f"{where}:event-source-mapping:{self.id}"

    @property
    def function_arn(self) -> str:
        """The ARN of what it calls, with the qualifier if there is one."""
        where = f"arn:{self.partition}:lambda:{self.region}:{self.account}"
        arn = f"{where}:function:{self.function}"
        return arn if self.qualifier is None else f"{arn}:{self.qualifier}"


class ShardChanged(Event, frozen=True, kw_only=True):
    """A mapping has come upon a shard, or flows again."""


@record("lambda.checkpoint", key=("account", "region", "mapping", "shard"))
class Checkpoint(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far a mapping has come in a shard: all up to `after` is done with.

    While batches of the records behind it are `waiting`, those `until` there have been read. `since`
    is where it began, if not at the oldest record.
    """

    account: str
    region: str
    mapping: str
    shard: str
    after: str = ""
    until: str = ""
    waiting: list[Waiting] = []
    ended: bool = False
    since: datetime | None = None


NAMED: Index[FunctionUrl] = Index("named", ("id",))


@record("lambda.url", key=("account", "region", "function", "qualifier"), indexes=(NAMED,))
class FunctionUrl(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A host that is a function, or an alias of it; `qualifier` is empty or the alias."""

    account: str
    region: str
    function: str
    qualifier: str
    partition: str
    id: str
    auth: str
    created_at: datetime
    modified_at: datetime
    cors: dict[str, Any] = {}

    @property
    def arn(self) -> str:
        """The ARN of what answers."""
        where = f"arn:{self.partition}:lambda:{self.region}:{self.account}"
        arn = f"{where}:function:{self.function}"
        return f"{arn}:{self.qualifier}" if self.qualifier else arn
