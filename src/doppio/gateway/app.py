"""The request path, top to bottom: route, authenticate, decode, door, encode, log."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Protocol

from msgspec.structs import replace

from doppio.gateway import (
    catalogs,
    crossorigin,
    digests,
    forms,
    function_urls,
    internal,
    websites,
    wrongregion,
)
from doppio.gateway.authenticate import (
    GLOBAL_STS,
    AnySignature,
    MissingAuthenticationToken,
    by_global_endpoint,
    check_express,
    check_regions,
    signed,
    unsigned,
)
from doppio.gateway.heads import with_hoisted
from doppio.gateway.requestlog import Line, RequestLog
from doppio.gateway.route import DEFAULT_REGION, Target, route, scope_of, services
from doppio.kernel.context import Context
from doppio.kernel.identity import ANONYMOUS, Caller, Credential, Identities
from doppio.kernel.kernel import Kernel
from doppio.kernel.regions import partition_of
from doppio.kernel.service import Service
from doppio.kernel.witness import Exchange, Witness
from doppio.wire import model
from doppio.wire.codec import Codec, codec
from doppio.wire.errors import AwsError, InternalFailure
from doppio.wire.http import ByteStream, Request, Response, Whole
from doppio.wire.sigv4 import parse

_log = logging.getLogger("doppio.gateway")
# DynamoDB's BatchWriteItem takes 16 MB, the most of all operations whose body is not a stream;
# in JSON, binary values grow by a third.
BODY_BYTES_MAX = 32 * 1024 * 1024
# What lies below these is asked for without a service's protocol.
_OTHER_PATHS = ("/_doppio/", "/_localstack/", "/_aws/", catalogs.PREFIX)
# Lambda takes packages of 50 MB within a request.
LARGE_BODY_BYTES_MAX = {"lambda": 70_167_211}


# What answers a request in a protocol that is not AWS's.
_Answering = Callable[[Any, Request, bytes, str, Line], Coroutine[Any, Any, Response]]


class RequestTooLarge(AwsError):
    """A body larger than any operation takes that is not a stream."""

    code = "RequestEntityTooLarge"
    status = 413


class Cloud(Kernel, Protocol):
    """What the request path needs of the composition root."""

    identities: Identities

    @property
    def services(self) -> Mapping[str, Service]: ...

    def context(
        self, caller: Caller, *, account: str, region: str, request_id: str, **more: Any
    ) -> Context: ...

    def context_for(self, account: str, region: str) -> Context: ...


class Course:
    """What is known of an operation in a protocol before any request for it comes."""

    __slots__ = (
        "body_bytes_max", "checked_body", "codec", "is_s3", "is_sts", "method", "name", "operation",
        "service", "signs_as_s3", "streaming", "witness",
    )  # fmt: skip

    def __init__(self, target: Target, codec: Codec, witness: Witness | None) -> None:
        operation = self.operation = target.operation
        self.codec = codec
        self.witness = witness
        self.service = target.service
        self.name, self.method = operation.name, operation.method
        self.is_s3, self.is_sts = target.service == "s3", target.service == "sts"
        self.signs_as_s3 = target.service in {"s3", "s3control"}
        self.streaming = operation.streaming_input is not None
        self.checked_body = operation.checked_body and not self.streaming
        self.body_bytes_max = LARGE_BODY_BYTES_MAX.get(target.service, BODY_BYTES_MAX)


class Gateway:
    """Answers requests."""

    def __init__(self, cloud: Cloud, log: RequestLog) -> None:
        self._cloud = cloud
        self._log = log
        self._codecs: dict[tuple[str, str], Codec] = {}
        self._witnesses: dict[str, Witness | None] = {}
        self._courses: dict[tuple[model.Operation, str], Course] = {}
        self.internal = internal.Internal(cloud)

    def __call__(self, request: Request) -> Coroutine[Any, Any, Response]:
        """Answer one request; never raises but for cancellation."""
        path = request.path
        if path != "/" and path.startswith(_OTHER_PATHS):
            if not path.startswith(catalogs.PREFIX):
                return self.internal.answer(request)
            if catalogs.is_catalog(request):
                return self._outside(request, catalogs.answer)
        if function_urls.is_function_url(request):
            return self._outside(request, function_urls.answer)
        if request.method == "POST" and "x-amz-target" in request.headers:
            # It names its operation: neither a page nor a form.
            return self._answer(request)
        if request.method == "OPTIONS":
            return self._preflight(request)
        if websites.is_website(request):
            return self._page(request)
        if request.method == "POST" and (target := forms.target_of(request)) is not None:
            return self._form(request, target)
        return self._answer(request)

    def bad_request(self, status: int, code: str, text: str) -> Response:
        """The answer to bytes that are no request."""
        response = codec(model.load("s3"), "rest-xml").encode_error(
            None, _refusal(status, code, text), self._cloud.ids.uuid()
        )
        response.status = status
        return response

    def crashed(self, request: Request, error: BaseException) -> Response:
        """The answer where our own code failed; the log has the reason, the client never."""
        _log.error("%s %s crashed", request.method, request.path, exc_info=error)
        return self._error(request, None, InternalFailure(), self._cloud.ids.uuid())

    async def _answer(
        self, request: Request, line: Line | None = None, region: str = ""
    ) -> Response:
        """Answer in AWS's protocols. `region` and `line` are there at a second try: where the bucket is."""
        if line is None:
            line = self._log.line(request, self._cloud.ids.request_id())
        course: Course | None = None
        target: Target | None = None
        signature: AnySignature | None = None
        credential: Credential | None = None
        try:
            signature = parse(request)
            if signature is not None and signature.presigned:
                request.headers = with_hoisted(request)
            whole = request.body.whole
            if whole is None:
                whole = await self._gather_form(request)
            target = route(request, whole, signature)
            if region:
                target = replace(target, region=region)
            course = self._courses.get((target.operation, target.protocol)) or self._course(target)
            if whole is None and not course.streaming:
                request.body = await gathered(request.body, course.body_bytes_max)
            line.service, line.operation = course.service, course.name
            partition = partition_of(target.region)
            if signature is not None:
                identities = self._cloud.identities
                named = signature.access_key, signature.session_token, partition
                credential = identities.known(named) or await identities.credential(*named)
            context, req = self._admitted(
                request, target, partition, course, signature, credential, line
            )
            if target.special and course.is_s3:
                web = self._cloud.services["s3"].web
                assert web is not None, "S3 answers browsers, too"
                req = await web.reached(context, request.headers["host"], req, course.name)
            result = await self._cloud.enter(context, course.service, course.method, req)
            response = course.codec.encode(course.operation, result, line.id)
        except AwsError as error:
            at_home = "" if region else wrongregion.meant(request, signature, error)
            if at_home:
                return await self._answer(request, line, at_home)
            told = wrongregion.told(request, signature, error)
            line.error = told.code
            response = self._error(request, target, told, line.id)
        except Exception:
            _log.exception("request %s crashed", line.id)
            line.error = InternalFailure.code
            response = self._error(request, target, InternalFailure(), line.id)
        if target is not None and "origin" in request.headers:
            await self._add_origin(request, target, response, line.id)
        self._log.write(line, response.status)
        if course is not None and (witness := course.witness) is not None:
            watched = witness.watched
            if watched or watched is None:
                assert target is not None, "a course belongs to one"
                await self._tell(witness, request, response, target, line)
        return response

    def _admitted(
        self,
        request: Request,
        target: Target,
        partition: str,
        course: Course,
        signature: AnySignature | None,
        credential: Credential | None,
        line: Line,
    ) -> tuple[Context, Mapping[str, Any]]:
        """The call that a request is: whose, if its signature is right, and its input."""
        headers = request.headers
        if signature is None or credential is None:
            caller = ANONYMOUS
            request.body = unsigned(request)
            line.caller = caller.arn
            self._check_anonymous(target)
        else:
            caller = credential.caller
            request.body = signed(
                request, signature, credential, self._cloud.clock,
                is_s3=course.signs_as_s3, streaming=course.streaming,
            )  # fmt: skip
            line.caller = caller.arn
            if caller.session:
                check_express(caller, signature, course.service)
                check_regions(caller, target.region)
            if course.is_sts and headers.get("host", "") == GLOBAL_STS:
                caller = by_global_endpoint(caller)
        operation = course.operation
        if course.checked_body:
            digests.check(request)
        req: Mapping[str, Any] = course.codec.decode(operation, request, target.uri)
        context = Context(
            self._cloud,
            caller,
            account=caller.account,
            region=target.region or DEFAULT_REGION,
            request_id=line.id,
            partition=partition,
            source_ip=request.peer,
            user_agent=headers.get("user-agent", ""),
            secure=request.secure,
            signature=signature,
        )
        context.request = request
        return context, req

    def _course(self, target: Target) -> Course:
        witness = self._witness(target.service)
        course = Course(target, self._codec(target), witness)
        self._courses[target.operation, target.protocol] = course
        return course

    def _witness(self, name: str) -> Witness | None:
        if name not in self._witnesses:
            service = self._cloud.services.get(name)
            make = None if service is None else service.witness
            self._witnesses[name] = None if make is None else make(self._cloud)
        return self._witnesses[name]

    async def _tell(
        self,
        witness: Witness,
        request: Request,
        response: Response,
        target: Target,
        line: Line,
        way: str = "REST",
    ) -> None:
        """Tell a service's witness of an exchange, where anybody wants to know of it."""
        if witness.watched is None:
            await witness.look(self._cloud.context_for("", ""))
        if not witness.watched:
            return
        await self._tell_of(witness, request, response, target, line, target.uri, way)
        if not line.error:
            for labels, part in witness.beside(request):
                await self._tell_of(witness, request, response, target, line, labels, way, part)

    async def _tell_of(
        self,
        witness: Witness,
        request: Request,
        response: Response,
        target: Target,
        line: Line,
        labels: Mapping[str, str],
        way: str,
        part: str = "",
    ) -> None:
        watched = witness.watched or frozenset()
        name = labels.get(witness.label, "")
        if name not in watched and not witness.leads(name):
            return
        region = target.region or DEFAULT_REGION
        context = self._cloud.context(
            ANONYMOUS,
            account=ANONYMOUS.account,
            region=region,
            request_id=line.id,
            partition=partition_of(region),
            source_ip=request.peer,
            user_agent=request.headers.get("user-agent", ""),
            secure=request.secure,
        )
        if name not in watched:
            labels = await witness.meant(context, labels)
            if labels.get(witness.label) not in watched:
                return
        seconds = self._cloud.clock.host.seconds() - line.at
        exchange = Exchange(
            request, response, labels, target.operation.name, line.caller, line.error,
            seconds, way, part,
        )  # fmt: skip
        witness.saw(context, exchange)

    async def close(self) -> None:
        """Put away what the witnesses have in hand; no request comes any more."""
        for witness in self._witnesses.values():
            if witness is not None:
                await witness.close()

    async def _add_origin(
        self, request: Request, target: Target, response: Response, request_id: str
    ) -> None:
        asked = crossorigin.asked_beside(request)
        response.headers += await crossorigin.headers_for(
            self._cloud, request, target, asked, request_id
        )

    async def _page(self, request: Request) -> Response:
        target = websites.target_of(request)
        if target is None:
            return await self._answer(request)
        request_id = self._cloud.ids.request_id()
        line = self._log.line(request, request_id)
        line.service, line.operation = target.service, target.operation.name
        try:
            response = await websites.answer(
                self._cloud, request, target, self._codec(target), request_id
            )
        except Exception:
            _log.exception("request %s crashed", request_id)
            line.error = InternalFailure.code
            response = self._error(request, target, InternalFailure(), request_id)
        if "origin" in request.headers:
            await self._add_origin(request, target, response, request_id)
        self._log.write(line, response.status)
        witness = self._witness(target.service)
        if witness is not None:
            await self._tell(witness, request, response, target, line, "WEBSITE")
        return response

    async def _form(self, request: Request, target: Target) -> Response:
        request_id = self._cloud.ids.request_id()
        line = self._log.line(request, request_id)
        line.service, line.operation = target.service, target.operation.name
        try:
            response = await forms.answer(
                self._cloud, request, target, self._codec(target), request_id
            )
        except AwsError as error:
            line.error = error.code
            response = self._error(request, target, error, request_id)
        except Exception:
            _log.exception("request %s crashed", request_id)
            line.error = InternalFailure.code
            response = self._error(request, target, InternalFailure(), request_id)
        if "origin" in request.headers:
            await self._add_origin(request, target, response, request_id)
        self._log.write(line, response.status)
        return response

    async def _outside(self, request: Request, answer: _Answering) -> Response:
        """A request in a protocol that is not AWS's."""
        request_id = self._cloud.ids.request_id()
        line = self._log.line(request, request_id)
        try:
            request.body = body = await gathered(request.body)
            assert body.whole is not None, "it is gathered"
            response = await answer(self._cloud, request, body.whole, request_id, line)
        except AwsError as error:
            line.error = error.code
            response = self._error(request, None, error, request_id)
        except Exception:
            _log.exception("request %s crashed", request_id)
            line.error = InternalFailure.code
            response = self._error(request, None, InternalFailure(), request_id)
        self._log.write(line, response.status)
        return response

    async def _preflight(self, request: Request) -> Response:
        request_id = self._cloud.ids.request_id()
        line = self._log.line(request, request_id)
        target: Target | None = None
        try:
            asked = crossorigin.asked_before(request)
            target = crossorigin.target_of(request)
            headers = await crossorigin.headers_for(self._cloud, request, target, asked, request_id)
            response = crossorigin.allowed(headers)
        except AwsError as error:
            line.error = error.code
            response = self._error(request, target, error, request_id)
        self._log.write(line, response.status)
        return response

    async def _gather_form(self, request: Request) -> bytes | None:
        # The operation's name may stand in a form.
        if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            request.body = await gathered(request.body)
        return request.body.whole

    def _check_anonymous(self, target: Target) -> None:
        service = self._cloud.services.get(target.service)
        if target.service == "s3" or service is None:
            return
        if target.operation.name not in service.anonymous:
            raise MissingAuthenticationToken()

    def _codec(self, target: Target) -> Codec:
        key = (target.service, target.protocol)
        found = self._codecs.get(key)
        if found is None:
            found = self._codecs[key] = codec(model.load(target.service), target.protocol)
        return found

    def _error(
        self, request: Request, target: Target | None, error: AwsError, request_id: str
    ) -> Response:
        """The error in the form of the protocol that the client speaks."""
        if target is not None:
            return self._codec(target).encode_error(target.operation, error, request_id)
        service, protocol = guess(request)
        return codec(model.load(service), protocol).encode_error(None, error, request_id)


def _refusal(status: int, code: str, text: str) -> AwsError:
    error = AwsError(text)
    error.code, error.status = code, status  # type: ignore[misc]
    return error


def guess(request: Request) -> tuple[str, str]:
    """A service and protocol whose error form fits a request that could not be routed."""
    if request.headers.get("x-amz-target"):
        return "sqs", "json"
    if request.headers.get("smithy-protocol") == "rpc-v2-cbor":
        return "cloudwatch", "smithy-rpc-v2-cbor"
    name = scope_of(request).service
    for service, named in services().items():
        if named.signing == name:
            protocol = named.protocols[0]
            return service, "query" if protocol == "json" else protocol
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return "sqs", "query"
    return "s3", "rest-xml"


async def gathered(body: ByteStream, most: int = BODY_BYTES_MAX) -> Whole:
    """A body in memory. Raises RequestTooLarge before it would be too much."""
    if body.length is not None and body.length > most:
        raise RequestTooLarge(f"The request body is larger than {most} bytes.")
    parts: list[bytes] = []
    size = 0
    async for chunk in body:
        size += len(chunk)
        if size > most:
            raise RequestTooLarge(f"The request body is larger than {most} bytes.")
        parts.append(bytes(chunk))
    return Whole(b"".join(parts))
