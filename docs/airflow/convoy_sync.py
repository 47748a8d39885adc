"""Convoy every 15 minutes, by Airflow 3: copy it into the folder of DAGs."""

from datetime import UTC, datetime, timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

FOLDER = "/srv/convoy"  # holds .dlt/
COMMAND = "/srv/convoy/.venv/bin/convoy"

with DAG(
    dag_id="convoy",
    description="Chat conversations into the warehouse",
    schedule="*/15 * * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,  # a sync reads all that is new, so a missed one needs no making up for
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
):
    # The worker must run on the machine that has the warehouse.
    BashOperator(
        task_id="sync",
        bash_command=f"{COMMAND} sync",
        cwd=FOLDER,
        skip_on_exit_code=75,  # another program holds the warehouse; the next run will do
        append_env=True,
    )
