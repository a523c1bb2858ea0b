"""A project with a running server, and the tools that look at it.

In: the built binary (`HEADWATER`). Out: fixtures. A server listens on a free port of loopback, over a
local store in a temporary folder, and is stopped by its process id.
"""

import json
import os
import pathlib
import re
import subprocess
import tempfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
HEADWATER = os.environ.get("HEADWATER", str(ROOT / "target/debug/headwater"))

SCHEMA = """
extend schema @module(name: "lab", owner: "tests")

enum Colour { RED GREEN }

type Size { label: String  width: Int! }

"Every type that a column can have."
type Thing @key(fields: "id") @table(format: ICEBERG, plural: "things", bucket: { by: "id", count: 2 }) {
  id: ID!
  flag: Boolean
  small: Int
  large: Long
  ratio: Float
  price: Decimal @column(type: "decimal(20,4)")
  name: String! @search
  raw: Bytes
  day: Date
  at: DateTime
  uuid: UUID
  colour: Colour
  facts: JSON
  tags: [String!]
  size: Size
  sizes: [Size!]
}

"Rows that are only added."
type Event @table(format: ICEBERG, plural: "events", partition: "day(at)", sort: "at") {
  who: String!
  at: DateTime!
  count: Int
}

type Note @key(fields: "id") @table(format: LANCE, plural: "notes") {
  id: ID!
  text: String!
  stars: Int
}

enum Mood { GLAD SAD }

type Scrap @key(fields: "id") @table(format: LANCE, plural: "scraps") {
  id: ID!
  text: String!
  mood: Mood
  at: DateTime
}
"""

THINGS = """\
{"id":"a","flag":true,"small":1,"large":9007199254740993,"ratio":1.5,"price":"12.3400","name":"lamp","raw":"AQID","day":"2024-02-29","at":"2024-02-29T23:59:59.123456Z","uuid":"6f1f3f3a-7f0e-4a8e-9d5a-0d6c3f1b2a10","colour":"RED","facts":{"a":[1,2]},"tags":["x","y"],"size":{"label":"wide","width":3},"sizes":[{"label":null,"width":1},{"label":"b","width":2}]}
{"id":"b","flag":null,"small":null,"large":null,"ratio":null,"price":null,"name":"chair","raw":null,"day":null,"at":null,"uuid":null,"colour":null,"facts":null,"tags":null,"size":null,"sizes":null}
{"id":"c","flag":false,"small":-2147483648,"large":-9223372036854775808,"ratio":-0.25,"price":"-1234567890123456.7890","name":"tisch \\u00e4\\u00f6 \\u96ea","raw":"","day":"1969-12-31","at":"1969-12-31T23:59:59.999999Z","uuid":"00000000-0000-0000-0000-000000000000","colour":"GREEN","facts":"text","tags":[],"size":{"label":null,"width":0},"sizes":[]}
{"id":"d","flag":true,"small":7,"large":7,"ratio":7.0,"price":"7","name":"door","raw":"Bw==","day":"2026-11-23","at":"2026-11-23T12:00:00+02:00","uuid":"11111111-2222-3333-4444-555555555555","colour":"RED","facts":7,"tags":["only"],"size":{"label":"","width":7},"sizes":[{"label":"z","width":9}]}
"""

EVENTS = "who,at,count\nann,2024-01-01T10:00:00Z,1\nbob,2024-01-01T11:00:00Z,\nann,2024-01-02T00:00:00Z,3\n"
NOTES = "id,text,stars\n1,first,5\n2,second,\n3,third,1\n"


class Lab:
    """A project, its server, and the command line on it."""

    def __init__(self, folder, settings="", secrets=()):
        self.folder = pathlib.Path(folder)
        self.environment = os.environ | dict(secrets)
        (self.folder / "schema").mkdir(parents=True, exist_ok=True)
        (self.folder / "headwater.toml").write_text(settings)
        self.server = None

    def write_schema(self, text):
        (self.folder / "schema/main.graphql").write_text(text)

    def run(self, *arguments, text=None):
        done = subprocess.run(
            [HEADWATER, *arguments, "--project", str(self.folder)],
            input=text, capture_output=True, text=True, timeout=120, env=self.environment,
        )
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    def apply(self, *arguments):
        return self.run("apply", "--yes", *arguments)

    def load(self, type_name, name, text, *arguments):
        path = self.folder / name
        path.write_text(text)
        return self.run("import", type_name, str(path), *arguments)

    def query(self, text):
        return self.run("query", text)

    def rows(self, sql):
        """The answer of a SQL query as Arrow."""
        import pyarrow as pa

        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "out.arrow"
            self.run("export", "--sql", sql, "--to", str(path), "--format", "arrow")
            with pa.ipc.open_file(path) as reader:
                return reader.read_all()

    def export(self, type_name):
        """A table as Headwater itself exports it."""
        import pyarrow as pa

        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "out.arrow"
            self.run("export", type_name, "--to", str(path), "--format", "arrow")
            with pa.ipc.open_file(path) as reader:
                return reader.read_all()

    def start(self):
        self.server = subprocess.Popen(
            [HEADWATER, "up", "--listen", "127.0.0.1:0", "--project", str(self.folder)],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=self.environment,
        )
        for line in self.server.stdout:
            found = re.search(r"at (https?://\S+?)/?$", line.strip())
            if found:
                self.origin = found.group(1)
                return self
        raise AssertionError("the server did not say where it listens")

    @property
    def uri(self):
        return f"{self.origin}/iceberg"

    def token(self, subject, team, scope):
        """A new token's secret."""
        made = self.run("token", "create", subject, "--team", team, "--scope", scope, "--json")
        return json.loads(made)["secret"]

    def stop(self):
        if self.server:
            self.server.terminate()
            self.server.wait(30)

    def kill(self):
        """As a machine that loses its power."""
        self.server.kill()
        self.server.wait(30)


@pytest.fixture(scope="session")
def servers():
    """A database server and an object store, which end with the tests."""
    from servers import Servers

    made = Servers()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def backend(request):
    """What the projects of a module stand on: files, or servers where `HEADWATER_BACKEND` says so."""
    if os.environ.get("HEADWATER_BACKEND") != "servers":
        return {}
    return request.getfixturevalue("servers").project()


@pytest.fixture(scope="module")
def lab(tmp_path_factory, backend):
    """A server on tables with rows of every type."""
    made = Lab(tmp_path_factory.mktemp("lab"), **backend)
    made.write_schema(SCHEMA)
    made.apply()
    made.load("Thing", "things.jsonl", THINGS)
    made.load("Event", "events.csv", EVENTS)
    made.load("Note", "notes.csv", NOTES)
    made.start()
    yield made
    made.stop()
