"""python -m tests.notes"""

from .table import TABLE, table

TABLE.write_text(table(), "utf-8")
print(f"wrote {TABLE.name}")
