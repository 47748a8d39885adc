from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from pipelines.warehouse import connect

if TYPE_CHECKING:
    from postgres.server import PostgresProject


def test_what_is_not_committed_is_gone_also_what_tables_were_shown_for(
    project: PostgresProject,
) -> None:
    with connect(project.at) as connection:
        connection.execute("create table kept (a bigint)")
    for is_committed, wanted in ((False, []), (True, [1, 2, 3])):
        with connect(project.at) as connection:
            connection.begin()
            connection.execute("insert into kept values (1)")
            for shown in (2, 3):
                connection.register("noted", pa.table({"a": [shown]}))
                connection.execute("insert into kept select a from noted")
            if is_committed:
                connection.commit()
        assert [row["a"] for row in project.rows("from kept order by a")] == wanted
