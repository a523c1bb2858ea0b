"""Typed clients, generated for documents by the command line, asked of a running server."""

import asyncio
import importlib.util
import json
import pathlib
import subprocess
import sys
import urllib.request

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TSC = ROOT / "tests/inspector/node_modules/typescript/bin/tsc"

PARTS = """
fragment Whole on Thing {
  id flag small large ratio price name raw day at uuid colour facts tags
  size { label width } sizes { ...Measures }
}
fragment Measures on Size { label width }
"""
DOCUMENTS = """
query Everything($where: ThingWhere, $short: Boolean = false) {
  things(where: $where, orderBy: [{ id: ASC }]) { totalCount nodes { ...Whole @skip(if: $short) key: id } }
}
query ThingById($id: ID!) { thing(id: $id) { ...Whole } }
mutation Put($input: ThingInput!) { upsertThing(input: $input) { node { ...Whole } replayed } }
mutation Gone($id: ID!) { deleteThing(id: $id) { count } }
"""


def lay_out(folder):
    """The documents of a program, in folders."""
    (folder / "queries/parts").mkdir(parents=True)
    (folder / "queries/parts/whole.graphql").write_text(PARTS)
    (folder / "queries/all.graphql").write_text(DOCUMENTS)
    return folder


def generate(lab, folder, target, *more):
    pattern = str(folder / "queries/**/*.graphql")
    return lab.run("generate", target, "--documents", pattern, "--out", str(folder / target), *more)


def module(path):
    """The generated module, imported under a name of its own."""
    name = f"operations_{abs(hash(path))}"
    spec = importlib.util.spec_from_file_location(name, path)
    made = importlib.util.module_from_spec(spec)
    sys.modules[name] = made
    spec.loader.exec_module(made)
    return made


def ask(lab, query, variables):
    """What the server answers to a client without types."""
    body = json.dumps({"query": query, "variables": variables}).encode()
    request = urllib.request.Request(f"{lab.origin}/graphql", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)["data"]


@pytest.fixture(scope="module")
def program(lab, tmp_path_factory):
    folder = lay_out(tmp_path_factory.mktemp("program"))
    for target in ("python", "typescript", "rust"):
        generate(lab, folder, target, "--client", "shop/1.2")
    return folder


def test_python_reads_every_type_exactly(lab, program):
    from datetime import date, datetime, timezone
    from decimal import Decimal
    from uuid import UUID

    made = module(program / "python/operations.py")
    client = made.Client(f"{lab.origin}/graphql")
    where = made.ThingWhere(id=made.IDWhere(in_=["a", "b", "c", "d"]))
    found = client.everything(where=where).things
    assert found.total_count == 4 and [node.key for node in found.nodes] == ["a", "b", "c", "d"]
    a = client.thing_by_id(id="a").thing
    assert (a.large, a.price, a.raw) == (9007199254740993, Decimal("12.3400"), b"\x01\x02\x03")
    assert (a.day, a.uuid) == (date(2024, 2, 29), UUID("6f1f3f3a-7f0e-4a8e-9d5a-0d6c3f1b2a10"))
    assert a.at == datetime(2024, 2, 29, 23, 59, 59, 123456, tzinfo=timezone.utc)
    assert (a.colour, a.facts, a.size.label, a.sizes[1].width) == (made.Colour.RED, {"a": [1, 2]}, "wide", 2)
    assert client.thing_by_id(id="nothing").thing is None
    short = client.everything(where=where, short=True).things.nodes
    assert [node.name for node in short] == [None] * 4


def test_what_python_sends_comes_back(lab, program):
    made = module(program / "python/operations.py")
    client = made.AsyncClient(f"{lab.origin}/graphql")

    async def round_trip():
        for id in ("a", "b", "c"):
            row = (await client.thing_by_id(id=id)).thing
            given = {name: getattr(row, name) for name in made.ThingInput.__annotations__ if hasattr(row, name)}
            given["size"] = row.size and made.SizeInput(label=row.size.label, width=row.size.width)
            given["sizes"] = row.sizes and [made.SizeInput(label=s.label, width=s.width) for s in row.sizes]
            given["id"] = f"{id}-again"
            put = (await client.put(input=made.ThingInput(**given))).upsert_thing.node
            wanted = {**row.__dict__, "id": put.id, "sizes": put.sizes}
            assert put.__dict__ == wanted
            assert (await client.gone(id=put.id)).delete_thing.count == 1

    asyncio.run(round_trip())


def test_python_is_strict(program):
    pytest.importorskip("mypy", reason="mypy is not installed; `cargo xtask setup` installs it")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--python-version", "3.10", "operations.py"],
        cwd=program / "python", capture_output=True, text=True,
    )
    assert done.returncode == 0, done.stdout


CHECK = """
import assert from "node:assert/strict";
import { Client, EverythingOperation, type Whole } from "./operations.js";

const client = new Client({ url: process.argv[2] ?? "", client: "typed" });
const whole: Whole | null = (await client.thingById({ id: "a" })).thing;
const all = await client.everything({ where: { id: { in: ["a", "b", "c", "d"] } } });
const short = await client.everything({ short: true, where: { small: { gte: 7 } } });
const name: string | undefined = short.things?.nodes[0]?.name;
assert.equal(name, undefined);
console.log(JSON.stringify({ whole, all, short, text: EverythingOperation.text }));
"""


def test_typescript_reads_what_the_server_says(lab, program):
    if not TSC.is_file():
        pytest.skip("tests/inspector is not installed; `cargo xtask setup` installs it")
    folder = program / "typescript"
    (folder / "check.ts").write_text(CHECK)
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "node.d.ts").write_text((ROOT / "tests/clients/node.d.ts").read_text())
    strict = ["--strict", "--noUncheckedIndexedAccess", "--exactOptionalPropertyTypes"]
    target = ["--target", "es2022", "--module", "nodenext", "--lib", "es2022,dom,dom.iterable"]
    done = subprocess.run(
        ["node", str(TSC.resolve()), *strict, *target, "node.d.ts", "check.ts"], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
    said = subprocess.run(
        ["node", "check.js", f"{lab.origin}/graphql"], cwd=folder, capture_output=True, text=True, timeout=60
    )
    assert said.returncode == 0, said.stderr
    said = json.loads(said.stdout)
    variables = {"where": {"id": {"in": ["a", "b", "c", "d"]}}}
    assert said["all"] == ask(lab, said["text"], variables)
    assert said["short"] == ask(lab, said["text"], {"short": True, "where": {"small": {"gte": 7}}})
    assert said["whole"]["price"] == "12.3400"


CHANGES = "subscription Changes($where: ThingWhere) { thingChanged(where: $where) { kind node { id name } } }\n"


def test_changes_are_heard_until_the_loop_is_left(lab, tmp_path):
    folder = lay_out(tmp_path)
    (folder / "queries/changes.graphql").write_text(CHANGES)
    generate(lab, folder, "python")
    made = module(folder / "python/operations.py")
    client, later = made.Client(f"{lab.origin}/graphql"), made.AsyncClient(f"{lab.origin}/graphql")
    wanted = made.ThingWhere(id=made.IDWhere(eq="heard"))

    async def write():
        # What is written before the server listens is not heard.
        while True:
            await later.put(input=made.ThingInput(id="heard", name="loud"))

    async def first():
        async for data in later.changes(where=wanted):
            return data.thing_changed

    async def both():
        writing = asyncio.create_task(write())
        try:
            waiting = asyncio.to_thread(lambda: next(iter(client.changes(where=wanted))).thing_changed)
            return await asyncio.wait_for(asyncio.gather(waiting, first()), 60)
        finally:
            writing.cancel()

    for change in asyncio.run(both()):
        assert (change.kind, change.node.name) == (made.ChangeKind.UPSERTED, "loud")
    client.gone(id="heard")


def test_what_clients_ask_is_counted_under_their_names(lab, program):
    made = module(program / "python/operations.py")
    made.Client(f"{lab.origin}/graphql").thing_by_id(id="d")
    used = json.loads(lab.run("usage", "Thing.price", "--server", lab.origin, "--json"))
    assert '"shop"' in json.dumps(used) and "1.2" in json.dumps(used) and "ThingById" in json.dumps(used)


def test_documents_are_asked_by_hash_and_by_id(lab, program, tmp_path):
    folder = lay_out(tmp_path)
    generate(lab, folder, "python", "--send", "persisted")
    persisted = module(folder / "python/operations.py").Client(f"{lab.origin}/graphql")
    for _ in range(2):
        assert persisted.thing_by_id(id="a").thing.name == "lamp"
    generate(lab, folder, "python", "--send", "id")
    text = (folder / "python/operations.py").read_text()
    assert "fragment Whole" not in text
    made = module(folder / "python/operations.py")
    client = made.Client(f"{lab.origin}/graphql")
    with pytest.raises(made.RequestError) as refused:
        client.thing_by_id(id="a")
    assert refused.value.code == "NOT_FOUND"
    lab.run("documents", "register", str(folder / "python/documents.json"), "--server", lab.origin, "--client", "shop")
    assert client.thing_by_id(id="a").thing.name == "lamp"


def test_ci_is_told_when_files_are_not_current(lab, tmp_path):
    folder = lay_out(tmp_path)
    assert "operations.rs" in generate(lab, folder, "rust")
    assert "2 files are current" in generate(lab, folder, "rust", "--check")
    (folder / "queries/all.graphql").write_text("query Other { things { totalCount } }")
    with pytest.raises(AssertionError, match="is not what schema and documents give"):
        generate(lab, folder, "rust", "--check")
    (folder / "queries/all.graphql").write_text("query Other { things { totalCout } }")
    with pytest.raises(AssertionError, match=r"did you mean `totalCount`(?s:.*)") as told:
        generate(lab, folder, "rust", "--check")
    assert "queries/all.graphql:1:24" in str(told.value)
