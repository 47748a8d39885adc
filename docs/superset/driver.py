"""Ask through SQLAlchemy in Superset's environment, as Superset does: `driver.py URI SQL`."""

import json
import sys
from importlib.metadata import version

from sqlalchemy import create_engine, inspect, text
from sqlalchemy.pool import NullPool
from superset.db_engine_specs.duckdb import DuckDBEngineSpec

PACKAGES = ("apache-superset", "duckdb-engine", "duckdb", "sqlalchemy")

engine = create_engine(sys.argv[1], poolclass=NullPool)
with engine.connect() as connection:
    answer = connection.execute(text(sys.argv[2])).first()
    access = connection.execute(text("select current_setting('access_mode')")).scalar()
said = {
    "spec": DuckDBEngineSpec.engine_name,
    "tables": inspect(engine).get_table_names("marts"),
    "value": str(answer.value),
    "access": access,
    "versions": {name: version(name) for name in PACKAGES},
}
print(json.dumps(said))
