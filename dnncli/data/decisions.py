"""Reads the table of what several models decided together as labels."""

from dataclasses import replace

from dnncli.data.frames import Table

COLUMNS = ("decision", "status", "agreement_all", "agreement_voted", "entropy", "n_votes")


def labels_of_decisions(table: Table) -> Table:
    """A decisions table as one of hard labels; any other table as it is."""
    if "label" in table.names or not set(COLUMNS) <= set(table.names):
        return table
    import polars as pl

    frame = table.frame.select("id", label=pl.col("decision").cast(pl.String))
    return replace(table, frame=frame, schema=frame.collect_schema())
