"""Iceberg's own behaviour tests of catalogs and views, run on a served project.

They come as a jar from Maven. `cargo xtask torture tools` fetches it and runs this; the usual run does
not, because the suite takes minutes.
"""

import os
import pathlib
import re
import subprocess

import pytest

from conftest import ROOT, Lab

JARS = pathlib.Path(os.environ.get("HEADWATER_REFERENCE", ROOT / ".tools/reference"))
pytestmark = pytest.mark.skipif(
    os.environ.get("HEADWATER_TOOLS") != "all", reason="Iceberg's catalog tests run in `cargo xtask torture tools`"
)

SCHEMA = """
extend schema @module(name: "lab", owner: "tests")
type Note @key(fields: "id") @table(plural: "notes") { id: ID! }
"""


def test_the_references_catalog_tests_pass(tmp_path):
    lab = Lab(tmp_path / "project")
    lab.write_schema(SCHEMA)
    lab.apply()
    lab.start()
    try:
        classes = tmp_path / "classes"
        sources = sorted(str(one) for one in (ROOT / "tests/tools/java").glob("*.java"))
        subprocess.run(["javac", "-cp", f"{JARS}/*", "-d", str(classes), *sources], check=True, timeout=300)
        done = subprocess.run(
            ["java", "-Daws.region=us-east-1", "-cp", f"{classes}:{JARS}/*", "org.junit.platform.console.ConsoleLauncher",
             "execute", "--disable-banner", "--details=summary",
             "--select-class", "HeadwaterCatalogTests", "--select-class", "HeadwaterViewTests"],
            capture_output=True, text=True, timeout=3600, env=os.environ | {"HEADWATER_ICEBERG": lab.uri},
        )
    finally:
        lab.stop()
    passed = int(re.search(r"(\d+) tests successful", done.stdout).group(1))
    assert (done.returncode, passed > 100) == (0, True), done.stdout[-20000:]
