"""What a service is to the rest: its operations, what each needs permission for, its background work.

A package `doppio.services.NAME` with a `service.py` that defines `SERVICE` is a service; there is
nothing else to register (`doppio.catalog` finds it). Its tables and jobs are called `NAME.noun`, and
its pages `NAME/noun`: by that name it is imported when it is needed. Operations are the public async
methods of its groups; an operation that no group has is answered 501 by the door.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from doppio.kernel.events import Subscription
from doppio.kernel.jobs import JobHandler
from doppio.kernel.metrics import Sampling
from doppio.wire.errors import AwsError

if TYPE_CHECKING:
    from doppio.kernel.context import Context
    from doppio.kernel.controller import Controller
    from doppio.kernel.identity import Identities
    from doppio.kernel.web import Catalog, Hosts, Web
    from doppio.kernel.witness import Witness

Operation = Callable[["Context", Any], Awaitable[Mapping[str, Any] | None]]


class Granted(NamedTuple):
    """What lets callers in beside the policies: whose the resource is, and a policy document."""

    owner: str
    document: Mapping[str, Any]


class Beyond(Protocol):
    """What bears on a need and is known only by reading more. Nothing is read unless it decides."""

    def knows(self, key: str) -> bool:
        """Whether `conditions` may have a condition key (in lower case)."""
        ...

    async def conditions(self, ctx: Context, need: Need) -> Mapping[str, Any]:
        """Condition keys, when a policy asks for one of them."""
        ...

    async def grants(self, ctx: Context, need: Need) -> Granted | None:
        """What lists of access on the resource grant, when no policy allows."""
        ...


class Need(NamedTuple):
    """One permission that a call needs: an action on a resource, with extra condition keys.

    `policy` is the ARN of the resource whose policy counts where it is not `resource` itself (the
    bucket of an object). `decisive`: what other policies allow counts only where that policy lets
    the caller's account in (KMS's keys). `granted`: a grant has let the caller in already, so that
    only an explicit deny counts. `beyond` knows what must be read first.
    `unlocks`: the root user of the resource's account may do it whatever the resource's own policy
    says, lest one that denies everybody lock it for ever.
    """

    action: str
    resource: str = "*"
    context: Mapping[str, Any] = {}
    policy: str | None = None
    decisive: bool = False
    granted: bool = False
    beyond: Beyond | None = None
    unlocks: bool = False


class CrossOrigin(NamedTuple):
    """What a browser asks for a page of another site: before a request (`preflight`) or with it.

    `headers` are the names that a preflight wants to send, in lower case.
    """

    origin: str
    method: str
    headers: tuple[str, ...]
    preflight: bool


# The headers that tell a browser what it may, by the labels of the request's path.
CrossOrigins = Callable[
    ["Context", Mapping[str, str], CrossOrigin], Awaitable[Sequence[tuple[str, str]]]
]
# What anybody may read of a service by a plain GET below `/_aws/`: the bytes and their type, by
# the context and what follows the page's name in the path; None where there is nothing.
Page = Callable[["Context", str], Awaitable["tuple[bytes, str] | None"]]
# What who holds the cloud's token may ask of a service beside AWS's operations, by a POST below
# `/_aws/`; both sides are JSON. Raises AwsError.
Post = Callable[["Context", Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
Needs = Callable[["Context", str, Mapping[str, Any]], Sequence[Need]]
# What a request means by a name that leads elsewhere: the request as it is meant, to be awaited; None
# where every name is the resource's own, which is nearly always.
Readdress = Callable[["Context", str, Mapping[str, Any]], Awaitable[Mapping[str, Any]] | None]

# What hears of a call that is refused: the request and the error.
Refused = Callable[["Context", Mapping[str, Any], AwsError], None]


class Service:
    """One AWS service.

    `name` is botocore's name of its model. `needs(ctx, operation, req)` says which permissions an
    operation takes; without it, `name:Operation` on `*`. `data_events` are the operations that
    CloudTrail counts as data events. `anonymous` are those that need no signature.
    `pages` are what everybody may read, by the beginning of its name below `/_aws/`.
    `posts` are what who holds the cloud's token may ask there.
    `cross_origin` answers browsers that ask for pages of other sites; `web` is what browsers may
    ask without speaking the service's protocol, `catalog` what clients of one do; `hosts` answer where a
    host is a resource. `witness` makes what keeps a cloud's access logs.
    `readdress` finds what a request means by a name that leads to another resource.
    `refused` hears of each call that is refused or fails, for the metrics of errors.
    `sampling` sees to it that a resource which was measured is looked at (`kernel.metrics`).
    """

    def __init__(
        self,
        name: str,
        *,
        groups: Iterable[object],
        needs: Needs | None = None,
        data_events: Iterable[str] = (),
        anonymous: Iterable[str] = (),
        jobs: Mapping[str, JobHandler] | None = None,
        controllers: Iterable[Controller[Any]] = (),
        subscriptions: Iterable[Subscription] = (),
        identities: Callable[[Any], Identities] | None = None,
        pages: Mapping[str, Page] | None = None,
        posts: Mapping[str, Post] | None = None,
        cross_origin: CrossOrigins | None = None,
        web: Web | None = None,
        catalog: Catalog | None = None,
        hosts: Hosts | None = None,
        witness: Callable[[Any], Witness] | None = None,
        sampling: Sampling | None = None,
        readdress: Readdress | None = None,
        refused: Refused | None = None,
    ) -> None:
        self.name = name
        self.groups = tuple(groups)
        self.needs = needs or self._needs_by_name
        self.data_events = frozenset(data_events)
        self.anonymous = frozenset(anonymous)
        self.jobs = dict(jobs or {})
        self.controllers = tuple(controllers)
        self.subscriptions = tuple(subscriptions)
        self.identities = identities
        self.pages = dict(pages or {})
        self.posts = dict(posts or {})
        self.cross_origin = cross_origin
        self.web = web
        self.catalog = catalog
        self.hosts = hosts
        self.witness = witness
        self.sampling = sampling
        self.readdress = readdress
        self.refused = refused
        self.operations: dict[str, Operation] = {}
        for group in self.groups:
            for method, operation in _operations(group):
                assert method not in self.operations, f"{name}.{method} is in two groups"
                self.operations[method] = operation

    def _needs_by_name(
        self, ctx: Context, operation: str, req: Mapping[str, Any]
    ) -> Sequence[Need]:
        return (Need(f"{self.name}:{operation}"),)


def _operations(group: object) -> Iterable[tuple[str, Operation]]:
    for name in dir(type(group)):
        if not name.startswith("_") and inspect.iscoroutinefunction(getattr(type(group), name)):
            yield name, getattr(group, name)
