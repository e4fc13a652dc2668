"""Runs the queries of docs/archive.md in an archive: JSON blocks in, JSON rows out.

Each block is {"language", "code"}; the answer of each is a list of rows.
"""

import json
import sys

import duckdb
import pandas
import polars
import pyarrow


def answer(block):
    if block["language"] == "sql":
        return duckdb.sql(block["code"]).to_arrow_table()
    names = {}
    exec(compile(block["code"], "docs/archive.md", "exec"), names)
    found = names["answer"]
    if isinstance(found, polars.DataFrame):
        return found.to_arrow()
    if isinstance(found, pandas.DataFrame):
        return pyarrow.Table.from_pandas(found, preserve_index=False)
    return found


json.dump([answer(block).to_pylist() for block in json.load(sys.stdin)], sys.stdout)
