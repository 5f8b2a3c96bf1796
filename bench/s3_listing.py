"""`python -m bench.s3_listing`: what pages of listings cost, beside others and in large buckets.

Pages begin at many keys in turn, so that nobody answers from memory what was asked just before.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import tempfile
from pathlib import Path
from urllib.parse import quote

import boto3

from bench.load import Outcome, drive, in_turn, request
from bench.page import update
from bench.peers import CACHE, DOPPIO, MINISTACK, MOTO, Peer, Running, resident_mib, running
from bench.run import figure, rates_of
from doppio.app import Cloud, Settings
from doppio.wire.http import Whole

FEW = 1_000
MANY = 1_000_000
PAGE = 1_000
BODY = b"x" * 100
# So many keys lie below a common prefix, and so many common prefixes are in a page.
GROUP = 1_000
GROUPS_A_PAGE = 50
STARTS = 200
AT_ONCE = 16
PUTS_AT_ONCE = 500
BUCKET = "bench"


def name(number: int) -> str:
    """A key: a thousand of them share a folder."""
    return f"folder-{number // GROUP:05d}/object-{number:07d}"


async def fill(data: Path, keys: int) -> None:
    """Make a bucket of so many objects, through the door."""
    cloud = Cloud(Settings(data=data))
    await cloud.start()
    context = cloud.root_context()
    await context.call("s3", "create_bucket", {"Bucket": BUCKET})

    async def put(number: int) -> None:
        await context.derive(context.caller).call(
            "s3", "put_object", {"Bucket": BUCKET, "Key": name(number), "Body": Whole(BODY)}
        )

    for start in range(0, keys, PUTS_AT_ONCE):
        group = range(start, min(start + PUTS_AT_ONCE, keys))
        await asyncio.gather(*(put(number) for number in group))
    await cloud.close()


def fill_peer(server: Running, keys: int) -> None:
    """The same through HTTP."""
    client = boto3.client(
        "s3", endpoint_url=f"http://localhost:{server.port}", region_name="us-east-1",
        aws_access_key_id="test", aws_secret_access_key="test",
    )  # fmt: skip
    client.create_bucket(Bucket=BUCKET)
    for number in range(keys):
        client.put_object(Bucket=BUCKET, Key=name(number), Body=BODY)


def pages(port: int, keys: int) -> list[bytes]:
    """Requests for full pages that begin all over the bucket."""
    last = max(keys - PAGE, 1)
    chance = random.Random(1)
    starts = [""] + [name(chance.randrange(last)) for _ in range(STARTS if keys > PAGE else 0)]
    return [
        listing(port, **({"start-after": start} if start else {}), **{"max-keys": str(PAGE)})
        for start in starts
    ]


def folders(port: int, keys: int) -> list[bytes]:
    """Requests for pages of common prefixes."""
    groups = keys // GROUP
    chance = random.Random(1)
    starts = [chance.randrange(max(groups - GROUPS_A_PAGE, 1)) for _ in range(STARTS)]
    return [
        listing(
            port, delimiter="/", **{"max-keys": str(GROUPS_A_PAGE)},
            **({"start-after": f"folder-{start - 1:05d}/~"} if start else {}),
        )
        for start in starts
    ]  # fmt: skip


def listing(port: int, **query: str) -> bytes:
    """A signed ListObjectsV2."""
    asked = "&".join(f"{key}={quote(value, safe='')}" for key, value in sorted(query.items()))
    return request(port, "s3", "GET", f"/{BUCKET}?list-type=2&{asked}", b"")


def load(server: Running, what: str, requests: list[bytes], seconds: float) -> Outcome:
    """One run."""
    outcome = drive(server.port, server.pid, what, in_turn(requests), seconds, AT_ONCE)
    assert outcome.failed == 0, outcome
    return outcome


def beside_others(rounds: int, seconds: float) -> list[str]:
    """A page of a thousand keys, beside other servers."""
    peers = (DOPPIO, MOTO, MINISTACK)
    runs: dict[Peer, list[Outcome]] = {}
    for _ in range(rounds):
        for peer in peers:
            with running(peer, cpu=(os.cpu_count() or 1) - 1) as server:
                fill_peer(server, PAGE)
                runs.setdefault(peer, []).append(
                    load(server, "page", pages(server.port, PAGE), seconds)
                )
    best = {peer: max(rates_of(outcomes)) for peer, outcomes in runs.items()}
    return [
        "| pages of 1,000 keys a CPU second | " + " | ".join(peer.name for peer in peers) + " |",
        "| --- |" + " ---: |" * len(peers),
        "| ListObjectsV2 | " + " | ".join(figure(rates_of(runs[peer])) for peer in peers) + " |",
        "| doppio ÷ it | | "
        + " | ".join(f"{best[DOPPIO] / best[peer]:.1f}×" for peer in peers[1:])
        + " |",
    ]


def by_size(rounds: int, seconds: float, many: int) -> list[str]:
    """The same pages in buckets of few and of many keys."""
    costs: dict[tuple[str, int], list[float]] = {}
    resident: list[float] = []
    with tempfile.TemporaryDirectory(dir=CACHE) as place:
        data = {keys: Path(place) / str(keys) for keys in (FEW, GROUP * GROUPS_A_PAGE, many)}
        for keys, folder in data.items():
            asyncio.run(fill(folder, keys))
        for _ in range(rounds):
            for keys, folder in data.items():
                with running(DOPPIO, cpu=(os.cpu_count() or 1) - 1, data=folder) as server:
                    kinds = {"page": pages} if keys == FEW else {"page": pages, "folders": folders}
                    for kind, make in kinds.items():
                        outcome = load(server, kind, make(server.port, keys), seconds)
                        cost = outcome.cpu_seconds / outcome.count * 1e3
                        costs.setdefault((kind, keys), []).append(cost)
                    if keys == many:
                        resident.append(resident_mib(server.pid))
    lines = []
    for kind, title, few in (
        ("page", "page of 1,000 keys", FEW),
        ("folders", f"page of {GROUPS_A_PAGE} common prefixes", GROUP * GROUPS_A_PAGE),
    ):
        low, high = min(costs[kind, few]), min(costs[kind, many])
        lines += [
            (
                f"- {title}: {low:.2f} ms of CPU in a bucket of {few:,} keys, "
                f"{high:.2f} ms in one of {many:,} ({high / low:.2f}×)."
            )
        ]
    lines.append(f"- Resident after pages all over {many:,} keys: {max(resident):.0f} MiB.")
    return lines


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--keys", type=int, default=MANY, help="of the large bucket")
    parser.add_argument("--only", choices=("others", "sizes"))
    parser.add_argument("--dry", action="store_true", help="do not write RESULTS.md")
    args = parser.parse_args()
    CACHE.mkdir(parents=True, exist_ok=True)
    if (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(0, {0})
    lines = [
        (
            f"Objects of {len(BODY)} bytes, concurrency {AT_ONCE}, the best of {args.rounds} rounds "
            f"of {args.seconds:g} s (and the median), the server on one core and the generator on "
            "the other."
        ),
        "",
    ]
    if args.only != "sizes":
        lines += [*beside_others(args.rounds, args.seconds), ""]
    if args.only != "others":
        lines += by_size(args.rounds, args.seconds, args.keys)
    update("s3 listings", "Listings of S3", "\n".join(lines), dry=args.dry)


if __name__ == "__main__":
    main()
