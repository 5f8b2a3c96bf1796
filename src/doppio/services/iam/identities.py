"""From an access key to who that is, with the policies that bear on it.

Asked for every request, so what was found is remembered until something in IAM changes.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace as with_fields

from doppio.kernel.authorise import judge
from doppio.kernel.context import Context, Reader
from doppio.kernel.forward import called_via
from doppio.kernel.identity import (
    DEFAULT_REGIONS_ALONE,
    EXPRESS,
    ISSUER,
    SIGNED_IN,
    TOKEN,
    Caller,
    Credential,
    root_of,
)
from doppio.kernel.policy import Policy, PolicySet, compile_policy
from doppio.kernel.regions import HOMES
from doppio.kernel.service import Need
from doppio.services.iam import limits
from doppio.services.iam.attachments import attached_to, inline_of, managed
from doppio.services.iam.aws_managed import aws_managed
from doppio.services.iam.common import named, role_of
from doppio.services.iam.errors import ExpiredToken, InvalidClientTokenId
from doppio.services.iam.key_ids import LONG_TERM, new_key_id
from doppio.services.iam.records import (
    BY_USER,
    OF_USER,
    AccessKey,
    Closed,
    Role,
    SealingKey,
    User,
)
from doppio.services.iam.trust import trusted_policy
from doppio.wire.errors import AccessDenied

if TYPE_CHECKING:
    from doppio.services.iam.sessions import Session

CACHED_MAX = 10_000
# How long a service may act as a role before it must ask again.
ACTING_FOR = timedelta(hours=1)
DEFAULT_ACCOUNT = "000000000000"
CONVENIENCE_SECRET = "test"
# What tools sign with that find a LocalStack by themselves: key and secret are the same word. The
# second one is that of Testcontainers' module for Python.
CONVENIENCE_KEYS = frozenset({"test", "testcontainers-localstack"})
_SEALING = "sessions"
_NOBODY = Policy("", {"Statement": []})
_EVERYTHING = compile_policy(
    {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]},
    "the account's root user",
)
# In a caller's session: the tags that stay when it assumes a further role. No condition key of
# AWS's has this name.
TRANSITIVE = "doppio:transitivetags"
# How long ago an MFA code was shown: such a caller is worked out anew for every request.
AGE = "aws:multifactorauthage"


class Identities:
    """The kernel's port to IAM."""

    def __init__(self, cloud: Any) -> None:
        self._cloud = cloud
        self._known: dict[tuple[str, str | None, str], Credential] = {}
        self._changes = 0
        self.sealing_key = b""

    async def start(self) -> None:
        """Read, or at the first start make, the key that seals sessions."""
        self._cloud.wakers.on("iam", self._heard)
        ctx: Context = self._cloud.context_for("", "")

        async def key(tx: Any) -> bytes:
            found = await tx.get(SealingKey, _SEALING)
            if found is None:
                found = SealingKey(name=_SEALING, key=self._cloud.ids.bytes(32))
            if found.made_at is None:
                found = tx.put(with_fields(found, made_at=ctx.now))
            made: bytes = found.key
            return made

        self.sealing_key = await ctx.transact(key)

    def _heard(self, topic: str) -> None:
        # What is being read just now may be from before the change: it is not kept.
        self._changes += 1
        self._known.clear()

    async def root_key(self, account: str, partition: str = "aws") -> tuple[str, str]:
        """The root user's first access key and its secret, made if there is none."""
        ctx: Context = self._cloud.root_context(account, HOMES[partition])

        async def make(tx: Any) -> AccessKey:
            found: list[AccessKey] = await tx.find(BY_USER, (account, ""), limit=1)
            if found:
                return found[0]
            made: AccessKey = tx.add(
                AccessKey(
                    id=new_key_id(ctx.kernel.ids, LONG_TERM, account), account=account, user="",
                    secret=ctx.new_id("secret-key"), created_at=ctx.now,
                )
            )  # fmt: skip
            return made

        key = await ctx.transact(make)
        return key.id, key.secret

    def known(self, named: tuple[str, str | None, str]) -> Credential | None:
        """The credential of an access key, a token and a partition, where it is at hand and has
        not expired."""
        found = self._known.get(named)
        if (
            found is not None
            and found.expires_at is not None
            and found.expires_at <= self._cloud.clock.now()
        ):
            return None
        return found

    async def credential(
        self, access_key: str, token: str | None, partition: str = "aws"
    ) -> Credential:
        """The credential of an access key. Raises InvalidClientTokenId and ExpiredToken."""
        wanted = (access_key, token, partition)
        found = self._known.get(wanted)
        if found is None:
            changes = self._changes
            reader = self._cloud.context_in(partition).read()
            found = await self._find(reader, access_key, token)
            await _check_open(reader, found.caller.account)
            if changes == self._changes and AGE not in found.caller.session:
                if len(self._known) >= CACHED_MAX:
                    self._known.clear()
                self._known[wanted] = found
        if found.expires_at is not None and found.expires_at <= self._cloud.clock.now():
            raise ExpiredToken()
        return found

    async def acting(self, context: Context, arn: str, service: str, session: str) -> Caller:
        """The session of a role as which a service acts. Raises AccessDenied."""
        from doppio.services.iam.sessions import Session

        reader = context.read()
        role = await role_of(reader, arn)
        if role is None or not await trusts(context, role):
            raise AccessDenied(
                f"{context.caller.arn} is not authorized to perform: sts:AssumeRole on resource: "
                f"{arn}"
            )
        now = context.clock.now()
        acted = Session(
            kind="role", account=role.account, role=role.name, owner=role.id, name=session,
            issued_at=now, expires_at=now + ACTING_FOR, partition=role.partition,
        )  # fmt: skip
        return await self._role(reader, acted, "")

    async def _find(self, reader: Reader, access_key: str, token: str | None) -> Credential:
        if access_key.startswith("ASIA"):
            if token is None:
                raise InvalidClientTokenId()
            return await self._session(reader, access_key, token)
        if not self._cloud.settings.strict_auth:
            # Tools set a session token beside test/test; it says nothing.
            if access_key in CONVENIENCE_KEYS:
                return Credential(
                    access_key, access_key, _root(reader, DEFAULT_ACCOUNT, access_key)
                )
            if _is_account(access_key):
                return Credential(
                    access_key, CONVENIENCE_SECRET, _root(reader, access_key, access_key)
                )
        key = await reader.get(AccessKey, access_key)
        # A token belongs to a session: beside a lasting key it is one that was left over.
        if key is None or not key.active or token:
            raise InvalidClientTokenId()
        if not key.user:
            return Credential(access_key, key.secret, _root(reader, key.account, access_key))
        caller = await self._user(reader, key.account, key.user, access_key)
        return Credential(access_key, key.secret, caller)

    async def _user(
        self,
        reader: Reader,
        account: str,
        name: str,
        access_key: str,
        session: Session | None = None,
    ) -> Caller:
        user = await named(reader, User, account, name)
        if user is None or (session is not None and session.owner != user.id):
            raise InvalidClientTokenId()
        identity = await policies_of(reader, account, "User", name)
        for row in await reader.find(OF_USER, (account, name), limit=limits.ROWS_MAX):
            identity += await policies_of(reader, account, "Group", row.group)
        keys = _tag_keys(user.tags)
        if session is not None:
            keys |= self._session_keys(session)
        return Caller(
            account=account, arn=user.arn, id=user.id, kind="user", access_key=access_key,
            policies=PolicySet(
                identity=tuple(identity), boundary=await boundary_of(reader, user.boundary)
            ),
            session=keys,
        )  # fmt: skip

    async def _session(self, reader: Reader, access_key: str, token: str) -> Credential:
        from doppio.services.iam import sessions

        session = sessions.unseal(self.sealing_key, access_key, token)
        if session.partition != reader.context.partition:
            raise InvalidClientTokenId()
        secret = sessions.secret_of(self.sealing_key, access_key)
        if session.kind == "role":
            caller = await self._role(reader, session, access_key)
        elif session.kind == "federated":
            caller = await self._federated(reader, session, access_key)
        elif session.kind == "express":
            return await self._express(reader, session, access_key, secret)
        elif session.kind == "forward":
            return await self._forward(reader, session, access_key, secret)
        elif session.user:
            caller = await self._user(reader, session.account, session.user, access_key, session)
        else:
            caller = _root(reader, session.account, access_key)
            if session.policy_arns:
                # On a task, which is all that its policy does not deny.
                task = await _session_policies(reader, session)
                keys = self._session_keys(session)
                caller = replace(caller, policies=PolicySet(session=task), session=keys)
        if session.narrowed:
            caller = replace(caller, policies=_narrowed(caller, session))
        said: dict[str, Any] = {TOKEN: token}
        if session.signed_in:
            said[SIGNED_IN] = True
        if session.default_regions:
            said[DEFAULT_REGIONS_ALONE] = True
        caller = replace(caller, session={**caller.session, **said})
        return Credential(access_key, secret, caller, session.expires_at)

    async def _express(
        self, reader: Reader, session: Session, access_key: str, secret: str
    ) -> Credential:
        """Whoever asked for the session, bound to a directory bucket, while his own key counts."""
        parent = await self.credential(
            session.parent[0], session.parent[1] or None, reader.context.partition
        )
        bound = {**parent.caller.session, EXPRESS: session.express}
        caller = replace(parent.caller, access_key=access_key, session=bound)
        ends = [session.expires_at, *([parent.expires_at] if parent.expires_at else [])]
        return Credential(access_key, secret, caller, min(ends))

    async def _forward(
        self, reader: Reader, session: Session, access_key: str, secret: str
    ) -> Credential:
        """Whoever a service calls for, with what policies may ask of that."""
        parent = await self.credential(
            session.parent[0], session.parent[1] or None, reader.context.partition
        )
        keys = {**parent.caller.session, **called_via(parent.caller, session.name)}
        caller = replace(parent.caller, access_key=access_key, session=keys)
        ends = [session.expires_at, *([parent.expires_at] if parent.expires_at else [])]
        return Credential(access_key, secret, caller, min(ends))

    async def _role(self, reader: Reader, session: Session, access_key: str) -> Caller:
        role = await named(reader, Role, session.account, session.role)
        if role is None or role.id != session.owner:
            raise InvalidClientTokenId()
        policies = PolicySet(
            identity=tuple(await policies_of(reader, session.account, "Role", role.name)),
            boundary=await boundary_of(reader, role.boundary),
            session=await _session_policies(reader, session),
        )
        keys = _tag_keys(role.tags) | _tag_keys(session.tags) | self._session_keys(session)
        keys[TRANSITIVE] = {key: session.tags[key] for key in session.transitive}
        keys[ISSUER] = role.arn
        arn = f"arn:{session.partition}:sts::{session.account}:assumed-role/{role.name}/{session.name}"
        return Caller(
            account=session.account, arn=arn, id=f"{role.id}:{session.name}", kind="assumed-role",
            access_key=access_key, policies=policies, session=keys,
        )  # fmt: skip

    async def _federated(self, reader: Reader, session: Session, access_key: str) -> Caller:
        narrowed = await _session_policies(reader, session) or ()
        policies = PolicySet(identity=(_EVERYTHING,), session=narrowed)
        keys = _tag_keys(session.tags) | self._session_keys(session)
        if session.user:
            user = await self._user(reader, session.account, session.user, access_key, session)
            policies = replace(user.policies, session=narrowed)
            keys = {**user.session, **keys, ISSUER: user.arn}
        arn = f"arn:{session.partition}:sts::{session.account}:federated-user/{session.name}"
        return Caller(
            account=session.account, arn=arn, id=f"{session.account}:{session.name}",
            kind="federated-user", access_key=access_key, policies=policies, session=keys,
        )  # fmt: skip

    def _session_keys(self, session: Session) -> dict[str, Any]:
        keys: dict[str, Any] = {
            **session.claims,
            "aws:tokenissuetime": session.issued_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "aws:multifactorauthpresent": str(session.mfa).lower(),
        }
        if session.mfa:
            age = self._cloud.clock.now() - session.issued_at
            keys[AGE] = str(int(age.total_seconds()))
        if session.source_identity:
            keys["aws:sourceidentity"] = session.source_identity
        return keys


async def _check_open(reader: Reader, account: str) -> None:
    """Raise InvalidClientTokenId where an account is closed: nobody signs for it any more."""
    if await reader.get(Closed, account) is not None:
        raise InvalidClientTokenId()


def _root(reader: Reader, account: str, access_key: str) -> Caller:
    return root_of(account, access_key, partition=reader.context.partition)


async def trusts(context: Context, role: Role) -> bool:
    """Whether a role's trust policy lets the caller become it, by that policy alone."""
    policies = PolicySet().with_resource(trusted_policy(role), role.arn)
    need = Need("sts:AssumeRole", role.arn)
    return (await judge(context, need, role.account, policies)).allowed


async def policies_of(reader: Reader, account: str, kind: str, name: str) -> list[Policy]:
    """The compiled inline and attached policies of a user, group or role."""
    found = [
        compile_policy(row.document, row.name)
        for row in await inline_of(reader, account, kind, name)
    ]
    for row in await attached_to(reader, account, kind, name):
        policy = await managed_policy(reader, row.policy)
        if policy is not None:
            found.append(policy)
    return found


async def managed_policy(reader: Reader, arn: str) -> Policy | None:
    """The compiled default version of a managed policy."""
    builtin = aws_managed(reader.context.partition).get(arn)
    if builtin is not None:
        return compile_policy(builtin.document, arn)
    policy = await managed(reader, arn)
    version = policy.version(policy.default) if policy is not None else None
    return compile_policy(version.document, arn) if version is not None else None


async def boundary_of(reader: Reader, arn: str | None) -> Policy | None:
    """The compiled boundary; one whose policy is gone allows nothing."""
    if arn is None:
        return None
    return await managed_policy(reader, arn) or _NOBODY


async def _session_policies(reader: Reader, session: Session) -> tuple[Policy, ...] | None:
    if not session.policies and not session.policy_arns:
        return None
    found = [compile_policy(document, "session policy") for document in session.policies]
    for arn in session.policy_arns:
        policy = await managed_policy(reader, arn)
        if policy is not None:
            found.append(policy)
    return tuple(found)


def _narrowed(caller: Caller, session: Session) -> PolicySet:
    """The caller's policies, less what its session has given up."""
    policies: PolicySet = caller.policies or PolicySet()
    scopes = [compile_policy(document, "scope-down policy") for document in session.narrowed]
    return replace(policies, narrowed=(*policies.narrowed, *scopes))


def _tag_keys(tags: dict[str, str]) -> dict[str, Any]:
    return {f"aws:principaltag/{key.lower()}": value for key, value in tags.items()}


def _is_account(text: str) -> bool:
    return len(text) == 12 and text.isascii() and text.isdigit()
