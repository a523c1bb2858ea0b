"""LanceDB: an IVF_PQ and an IVF_RQ index are made, and the cheapest setting that reaches the recall is used."""

import json
import sys
import tempfile

import lancedb
import numpy as np
import pyarrow as pa
from lancedb.index import Bitmap, IvfRq
from peer import cpu, serve

given = json.loads(sys.argv[1])
dimension = given["dimension"]
vectors = np.fromfile(f"{given['folder']}/vectors.f32", dtype=np.float32).reshape(-1, dimension)
queries = np.fromfile(f"{given['folder']}/queries.f32", dtype=np.float32).reshape(-1, dimension)
folder = tempfile.TemporaryDirectory()
rows = pa.table({
    "id": pa.array(range(len(vectors)), pa.int64()),
    "shelf": pa.array([index % given["shelves"] for index in range(len(vectors))], pa.int64()),
    "place": pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), dimension),
})
database = lancedb.connect(folder.name)
table = database.create_table("items", rows)
lists = max(1, int(len(vectors) ** 0.5))
table.create_index("place", config=IvfRq(distance_type="l2", num_partitions=lists, num_bits=5))
table.create_index("shelf", config=Bitmap())
settings = {}


def search(shelf, probes, refine):
    found = []
    for query in queries:
        ask = table.search(query, vector_column_name="place").limit(given["count"]).nprobes(probes).select(["id", "_distance"])
        if refine:
            ask = ask.refine_factor(refine)
        if shelf is not None:
            ask = ask.where(f"shelf = {shelf}", prefilter=True)
        found.append(ask.to_arrow()["id"].to_pylist())
    return found


def recall(found, truth):
    hits = sum(len(set(some) & set(wanted)) for some, wanted in zip(found, truth))
    return hits / sum(len(wanted) for wanted in truth)


def cheapest(question):
    """The fewest lists, and the least refinement, with which enough is found."""
    best = None
    for refine in (0, 2, 5):
        for probes in (1, 2, 4, 8, 12, 16, 24, 32, 64, 128, lists):
            before = cpu()
            found = search(question["shelf"], probes, refine)
            cost = cpu() - before
            if recall(found, question["truth"]) >= question["recall"]:
                if best is None or cost < best[0]:
                    best = (cost, probes, refine)
                break
    if best is None:
        sys.exit("no setting of lancedb reaches the recall")
    return best[1:]


def answer(question):
    shelf = question["shelf"]
    if shelf not in settings:
        settings[shelf] = cheapest(question)
    before = cpu()
    found = search(shelf, *settings[shelf])
    return {"search_cpu": cpu() - before, "recall": recall(found, question["truth"])}


serve(f"lancedb {lancedb.__version__}, IVF_RQ", answer)
