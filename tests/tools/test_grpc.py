"""A service of gRPC beside a table, from its proposal to its answers over HTTP.

In: the service of `tests/grpc`. Out: what `headwater source add` writes, `explain` shows and the server
answers, also when the service is gone. What calls come to is tested in Rust.
"""

import contextlib
import json
import subprocess
import sys
import urllib.request

import pytest

from conftest import HEADWATER, ROOT, Lab

TABLES = """
extend schema @module(name: "catalog", owner: "catalog")
type Film @key(fields: "id") @table(plural: "films") { id: ID!  place: String! }
"""


@contextlib.contextmanager
def films():
    """The service, and where it is reached."""
    command = [sys.executable, str(ROOT / "tests/grpc/service.py"), "films"]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield child.stdout.readline().removeprefix("listening on ").strip()
    finally:
        child.stdin.close()
        child.wait(30)


def ask(url, query):
    """The answer of the server."""
    body = json.dumps({"query": query}).encode()
    request = urllib.request.Request(f"{url}/graphql", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def add(lab, url, *arguments):
    """What is proposed for the service; it meets names of the table, which is told."""
    done = subprocess.run(
        [HEADWATER, "source", "add", url, "--name", "ratings", "--project", str(lab.folder), *arguments],
        capture_output=True, text=True, timeout=120,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "`ratings.graphql` was written, but does not compose" in done.stderr
    return (lab.folder / "schema/ratings.graphql").read_text()


@pytest.fixture
def project(tmp_path):
    """A project with a table, whose server ends with the test."""
    lab = Lab(tmp_path)
    lab.write_schema(TABLES)
    yield lab
    lab.stop()


EXPECTED = [
    'type Film @key(fields: "id")\n  @fetch(method: "films.v1.Films/BatchGetFilms"',
    'getFilm(id: ID!): Film\n    @fetch(method: "films.v1.Films/GetFilm")',
    'listFilms(genre: Genre, pageSize: Int): [Film!]\n    @fetch(method: "films.v1.Films/ListFilms", '
    'result: "films", next: "pageToken=nextPageToken")',
    "  createFilm(film: FilmInput): Film\n",
    "  deleteFilm(id: ID!): Boolean\n",
    "  watchFilms(until: Int): FilmChange\n",
    "  boxOffice: Long\n",
    "# - `films.v1.Films/Upload` takes a stream",
]


# The table has these already.
OTHERS = {"createFilm": "addFilm", "deleteFilm": "removeFilm", "FilmInput": "NewFilm", "FilmChange": "Seen"}


def test_a_service_is_asked_proposed_deployed_and_answers(project):
    with films() as url:
        proposed = add(project, url)
        assert f'kind: GRPC, url: "{url}", descriptors: "ratings.binpb"' in proposed
        for text in EXPECTED:
            assert text in proposed, text
        for name, other in OTHERS.items():
            proposed = proposed.replace(name, other)
        (project.folder / "schema/ratings.graphql").write_text(proposed)
        project.apply()
        # What is deployed needs no file beside it.
        (project.folder / "schema/ratings.binpb").unlink()
        shown = project.run("explain", "{ films(first: 2) { nodes { place title } } }")
        assert "films.v1.Films/BatchGetFilms for `Film`, up to 100 at once by `id`" in shown
        server = project.start().origin
        ask(server, 'mutation { createFilms(inputs: [{id: "a", place: "A"}, {id: "z", place: "Z"}]) { count } }')
        found = ask(server, "{ films(first: 9) { nodes { id place title boxOffice votes stars } } }")
        above = {
            "id": "a", "place": "A", "title": "Above", "boxOffice": "9007199254740993",
            "votes": {"up": 3}, "stars": 4.5,
        }
        unknown = {"id": "z", "place": "Z", "title": None, "boxOffice": None, "votes": None, "stars": None}
        assert found == {"data": {"films": {"nodes": [above, unknown]}}}, found
        found = ask(server, "{ listFilms { id genre } }")
        assert [film["genre"] for film in found["data"]["listFilms"]] == ["GENRE_DRAMA", "GENRE_COMEDY", None]
    # The rows of the table are there without the service.
    found = ask(server, '{ film(id: "a") { place stars } }')
    assert found["data"]["film"] == {"place": "A", "stars": None}, found
    assert found["errors"][0]["extensions"]["source"] == "ratings", found


def test_a_proto_file_says_the_same_as_the_service(project):
    with films() as url:
        by_reflection = add(project, url, "--kind", "grpc")
        for name in ("ratings.graphql", "ratings.binpb"):
            (project.folder / "schema" / name).unlink()
        by_file = add(project, url, "--proto", str(ROOT / "tests/grpc/films.proto"))
    assert by_file == by_reflection
