"""Superset in an environment of its own: made, started on loopback, asked by its REST API."""

import os
import secrets
import socket
import subprocess
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

HERE = Path(__file__).parent
PATIENCE = 180.0
ADMIN = "admin"

Row = dict[str, object]
Body = dict[str, Any]


def environment(folder: Path) -> Path:
    """Return the `bin` of an environment with Superset and the driver; made if it isn't there."""
    where, wanted = folder / "venv", (HERE / "requirements.txt").read_text(encoding="utf-8")
    done = where / "installed.txt"
    if not done.exists() or done.read_text(encoding="utf-8") != wanted:
        venv.create(where, with_pip=True)
        pip = [str(where / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, "-r", str(HERE / "requirements.txt")], check=True, env=outside())
        done.write_text(wanted, encoding="utf-8")
    return where / "bin"


def outside() -> dict[str, str]:
    """Return the environment variables without those of our own Python."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


@contextmanager
def running(tools: Path, home: Path) -> Iterator["Superset"]:
    """Serve a new Superset on loopback, its metadata in a SQLite file, until the block ends."""
    home.mkdir(parents=True)
    config, password = home / "superset_config.py", secrets.token_hex(16)
    config.write_text(f"SECRET_KEY = '{secrets.token_hex(32)}'\n", encoding="utf-8")
    known = {**outside(), "SUPERSET_HOME": str(home), "SUPERSET_CONFIG_PATH": str(config)}
    port = _free_port()
    with (home / "superset.log").open("wb") as log:
        prepare = (
            ("db", "upgrade"),
            ("fab", "create-admin", "--username", ADMIN, "--firstname", "A", "--lastname", "B",
             "--email", "admin@example.org", "--password", password),
            ("init",),
        )  # fmt: skip
        for arguments in prepare:
            command = [str(tools / "superset"), *arguments]
            environ = {**known, "FLASK_APP": "superset.app:create_app()"}
            subprocess.run(command, check=True, env=environ, stdout=log, stderr=log)
        # As many as in Superset's image.
        serve = [str(tools / "gunicorn"), "--workers", "1", "--threads", "20", "--timeout", "120"]
        serve += ["--bind", f"127.0.0.1:{port}", "superset.app:create_app()"]
        with subprocess.Popen(serve, env=known, stdout=log, stderr=log) as process:
            try:
                yield Superset(f"http://127.0.0.1:{port}", password)
            finally:
                process.terminate()


class Superset:
    """A client of the REST API, logged in."""

    def __init__(self, url: str, password: str) -> None:
        self._api = f"{url}/api/v1"
        _wait_for(f"{url}/health")
        who = {"username": ADMIN, "password": password, "provider": "db"}
        token = requests.post(f"{self._api}/security/login", json=who, timeout=PATIENCE).json()
        self.headers = {"Authorization": f"Bearer {token['access_token']}", "Referer": url}
        self._session = self.session()

    def session(self) -> requests.Session:
        """Return a session for a thread of its own."""
        session = requests.Session()
        session.headers.update(self.headers)
        found = session.get(f"{self._api}/security/csrf_token/", timeout=PATIENCE)
        session.headers["X-CSRFToken"] = found.json()["result"]
        return session

    def add_database(self, uri: str) -> int:
        """Register a database."""
        body = {"database_name": "convoy", "sqlalchemy_uri": uri, "expose_in_sqllab": True}
        return int(self._post("database/", body)["id"])

    def add_dataset(self, database: int, table: str) -> int:
        """Register a table of the marts."""
        body = {"database": database, "schema": "marts", "table_name": table}
        return int(self._post("dataset/", body)["id"])

    def schemas(self, database: int) -> list[str]:
        """Return what the schema menu offers."""
        return list(self._get(f"database/{database}/schemas/")["result"])

    def tables(self, database: int, schema: str) -> list[str]:
        """Return what the table menu offers."""
        asked = f"database/{database}/tables/?q=(force:!t,schema_name:'{schema}')"
        return [row["value"] for row in self._get(asked)["result"]]

    def chart(self, dataset: int, column: str, metric: str, session: requests.Session) -> list[Row]:
        """Ask for the data of a chart, as a dashboard does when it is opened."""
        measure = {"expressionType": "SQL", "sqlExpression": metric, "label": "value"}
        wanted = {"columns": [column], "metrics": [measure], "row_limit": 1000}
        body = {"datasource": {"id": dataset, "type": "table"}, "queries": [wanted]}
        return list(self._post("chart/data", body, session)["result"][0]["data"])

    def lab(self, database: int, sql: str, session: requests.Session) -> list[Row]:
        """Run a statement in SQL Lab."""
        body = {"database_id": database, "sql": sql, "schema": "marts", "runAsync": False}
        return list(self._post("sqllab/execute/", body, session)["data"])

    def _get(self, path: str) -> Body:
        return _body(self._session.get(f"{self._api}/{path}", timeout=PATIENCE))

    def _post(self, path: str, body: Body, session: requests.Session | None = None) -> Body:
        asking = session or self._session
        return _body(asking.post(f"{self._api}/{path}", json=body, timeout=PATIENCE))


def _body(answer: requests.Response) -> Body:
    if not answer.ok:
        message = f"{answer.request.url}: {answer.status_code} {answer.text[:500]}"
        raise RuntimeError(message)
    return dict(answer.json())


def _wait_for(url: str) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            if requests.get(url, timeout=5).ok:
                return
        except (requests.ConnectionError, requests.Timeout):
            pass  # it starts
        time.sleep(0.5)
    message = f"{url} does not answer"
    raise RuntimeError(message)


def _free_port() -> int:
    with socket.socket() as some:
        some.bind(("127.0.0.1", 0))
        return int(some.getsockname()[1])
