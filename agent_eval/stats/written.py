"""Tables of statistics as CSV and as JSON: a row a line, named columns, one form for all."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any


def as_records(rows: Sequence[Any]) -> list[dict[str, Any]]:
    """Rows as JSON values, with the figures that follow from their fields."""
    return [asdict(row) | _derived(row) for row in rows]


def as_csv(rows: Sequence[Any], kind: type[Any]) -> str:
    """Rows of one kind with a line of column names before them, though there be no row.

    A figure by k becomes a column each; what else has parts stands there as JSON.
    """
    flat = [_flat(asdict(row) | _derived(row)) for row in rows]
    names = list(flat[0]) if flat else [each.name for each in fields(kind)]
    out = io.StringIO()
    writer = csv.DictWriter(out, names)
    writer.writeheader()
    writer.writerows(flat)
    return out.getvalue()


def _derived(row: Any) -> dict[str, Any]:
    names = [name for name, value in vars(type(row)).items() if isinstance(value, property)]
    return {name: getattr(row, name) for name in names}


def _flat(record: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in record.items():
        if name == "pass_at":
            flat |= {f"pass_at_{k}": rate for k, rate in value.items()}
        else:
            flat[name] = json.dumps(value) if isinstance(value, dict | list | tuple) else value
    return flat
