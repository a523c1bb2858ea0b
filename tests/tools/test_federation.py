"""The services of the demo graph, in three languages: each must answer what the others answer.

In: `tests/federation`, in Node by @apollo/subgraph and in Python by Strawberry, and the program that the
bench `mesh` runs. Out: equality, on operations like those that gateways send. What the mesh makes of them is
tested in Rust.
"""

import contextlib
import json
import pathlib
import shutil
import subprocess
import sys
import urllib.request

import pytest

from conftest import HEADWATER, ROOT

FOLDER = ROOT / "tests/federation"
SOURCES = pathlib.Path(HEADWATER).with_name("mesh-sources")


@contextlib.contextmanager
def running(command):
    """A program of the services, and the line that it says when it is there."""
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield child.stdout.readline()
    finally:
        # At the end of its input each of them ends by itself.
        child.stdin.close()
        assert child.wait(30) == 0


def address(line):
    return line.removeprefix("listening on ").strip()


def node(name):
    if shutil.which("node") is None or not (FOLDER / "node_modules").is_dir():
        pytest.skip("Node.js or its packages are absent")
    return ["node", str(FOLDER / "service.mjs"), name]


def strawberry(name):
    return [sys.executable, str(FOLDER / "service.py"), name]


def ask(url, query, variables=None):
    body = json.dumps({"query": query, "variables": variables}).encode()
    request = urllib.request.Request(url, body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


ENTITIES = "query($r: [_Any!]!) { _entities(representations: $r) { __typename ... on %s { %s } } }"


def entities(name, fields, *given):
    given = [{"__typename": name, **one} for one in given]
    return ENTITIES % (name, fields), {"r": given}


PRODUCT = {"upc": "p4", "price": 437, "weight": 312, "dimensions": {"width": 48, "height": 62}}
OPERATIONS = {
    "accounts": [
        ("{ me { id name } users(first: 7) { id email birthday } none: user(id: \"x\") { id } }", None),
        entities("User", "name username", {"id": "u3"}, {"id": "u3"}, {"id": "nobody"}),
    ],
    "products": [
        ("{ catalogue(first: 12) { __typename upc ... on Bundle { products { name } } } }", None),
        ("query($n: Int!) { archive(first: $n) { id title text size tags } }", {"n": 9}),
        entities("Product", "name dimensions { width height }", {"upc": "p1"}, {"upc": "p99"}),
        entities("Bundle", "price products { upc }", {"upc": "b2"}),
    ],
    "reviews": [
        ("{ reviews(first: 40) { id body stars helpful author { username } product { upc } } }", None),
        ("{ feed(first: 9) { __typename ... on User { username } ... on Product { upc } } }", None),
        ('mutation { addReview(upc: "p3", body: "é \\"q\\"") { id body author { id } mentions { __typename } } }', None),
        entities("Product", "reviews(first: 2) { id author { reviews { id } } }", {"upc": "p5"}),
        entities("Review", "stars mentions { __typename }", {"id": "r7"}, {"id": "none"}),
    ],
    "inventory": [
        ("{ lowStock(first: 4) { upc inStock } }", None),
        entities("Product", "inStock shippingEstimate fits", PRODUCT, {**PRODUCT, "price": 1001}),
        entities("Product", "inStock shippingEstimate fits", {"upc": "p3"}),
    ],
}


def same(left, right, left_name, right_name):
    assert left == right, f"{left_name} and {right_name} differ"
    assert "errors" not in left and left["data"], left


@pytest.fixture(scope="module")
def rust():
    if not SOURCES.is_file():
        pytest.skip("the program with the bench's sources is not built")
    with running([str(SOURCES)]) as line:
        yield json.loads(line)


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_service_in_node_answers_as_the_benchs_source_does(name, rust):
    with running(node(name)) as line:
        for query, variables in OPERATIONS[name]:
            left, right = ask(address(line), query, variables), ask(rust[name], query, variables)
            same(left, right, "Node", "Rust")


@pytest.mark.parametrize("name", ["reviews", "inventory"])
def test_a_service_in_python_answers_as_the_one_in_node_does(name):
    with running(node(name)) as node_line, running(strawberry(name)) as python_line:
        for query, variables in OPERATIONS[name]:
            left = ask(address(node_line), query, variables)
            same(left, ask(address(python_line), query, variables), "Node", "Python")


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_service_tells_its_schema(name, rust):
    with running(node(name)) as line:
        ours, theirs = [
            ask(url, "{ _service { sdl } }")["data"]["_service"]["sdl"] for url in (address(line), rust[name])
        ]
        assert theirs == (FOLDER / f"{name}.graphql").read_text("utf-8")
        for word in ("https://specs.apollo.dev/federation/v2.3", "@key"):
            assert word in ours and word in theirs
