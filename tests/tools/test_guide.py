"""The programs of the guide, and those that `headwater connect` prints, run as they stand."""

import pathlib
import re

import pytest

from test_duckdb import load

ROOT = pathlib.Path(__file__).resolve().parents[2]
GUIDE = ROOT / "docs/guide/other-tools.md"


def program(title):
    """The first code block below a heading of the guide."""
    text = GUIDE.read_text()
    section = text.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]
    return re.search(r"```\w+\n(.*?)```", section, re.S).group(1)


def here(text, lab):
    """The program on this server and one of its tables."""
    return text.replace("http://127.0.0.1:8080", lab.origin).replace("catalog.films", "lab.things")


def run_python(text, capsys, **names):
    exec(compile(text, "guide", "exec"), names)
    return capsys.readouterr().out


def run_duckdb(text):
    import duckdb

    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    for extension in ("httpfs", "avro", "iceberg"):
        load(connection, extension)
    # The extension is here already, out of its wheel.
    statements = [one for one in text.split(";") if "INSTALL" not in one and "LOAD" not in one and one.strip()]
    for statement in statements:
        found = connection.execute(statement)
    return found.to_arrow_table()


# Polars leaves columns out when it prints, but says how many rows and columns there are.
PRINTED = {"pyiceberg": "lamp", "polars": "shape: (4, 16)"}


@pytest.mark.parametrize("title", ["PyIceberg", "Polars"])
def test_programs_of_the_guide_print_the_rows(lab, title, capsys):
    assert PRINTED[title.lower()] in run_python(here(program(title), lab), capsys)


def test_duckdbs_statements_of_the_guide_give_the_rows(lab):
    assert run_duckdb(here(program("DuckDB"), lab)).num_rows == lab.export("Thing").num_rows


def test_the_program_for_lance_reads_the_rows(lab, capsys):
    text = lab.run("connect", "pylance", "--table", "lab.notes", "--server-url", lab.origin, "--quiet")
    assert "first" in run_python(text, capsys)


@pytest.mark.parametrize("tool", ["pyiceberg", "polars"])
def test_what_connect_prints_runs(lab, tool, capsys):
    text = lab.run("connect", tool, "--table", "lab.things", "--server-url", lab.origin)
    assert PRINTED[tool] in run_python(text, capsys)


def test_what_connect_prints_for_duckdb_runs(lab):
    text = lab.run("connect", "duckdb", "--table", "lab.things", "--server-url", lab.origin)
    assert run_duckdb(text).num_rows == lab.export("Thing").num_rows


def test_sparks_program_of_the_guide_prints_the_rows(lab, capfd):
    test_spark = pytest.importorskip("test_spark")
    if not test_spark.FOUND:
        pytest.skip("Spark needs Java 17 and its jars: `cargo xtask setup` fetches them by Maven")
    jars = ",".join(str(jar) for jar in test_spark.FOUND)
    text = re.sub(r'"spark.jars.packages", "[^"]*"', f'"spark.jars", "{jars}"', program("Spark"))
    text = here(text, lab).replace("SparkSession.builder", 'SparkSession.builder.master("local[1]")')
    names = {}
    exec(compile(text, "guide", "exec"), names)
    names["spark"].stop()
    assert "lamp" in capfd.readouterr().out
