"""Run in Dagster's environment: print what became of the newest run, as JSON."""

import json

import dagster as dg
from dagster import DagsterEventType as Kind

with dg.DagsterInstance.get() as instance:
    [record] = instance.get_run_records(limit=1)
    logs = instance.all_logs(record.dagster_run.run_id)
events = [entry.dagster_event for entry in logs if entry.dagster_event]


def of(kind: Kind) -> list[dg.DagsterEvent]:
    """Return the events of a kind."""
    return [event for event in events if event.event_type is kind]


def said(event: dg.DagsterEvent) -> str:
    """Return why a step failed."""
    failure = event.step_failure_data.user_failure_data
    return str(failure.description if failure else event.step_failure_data.error)


evaluated = [event.asset_check_evaluation_data for event in of(Kind.ASSET_CHECK_EVALUATION)]
made = [event.step_materialization_data.materialization for event in of(Kind.ASSET_MATERIALIZATION)]
told = {
    "status": record.dagster_run.status.value,
    "failed": {str(event.step_key): said(event) for event in of(Kind.STEP_FAILURE)},
    "skipped": [event.step_key for event in of(Kind.STEP_SKIPPED)],
    "made": {
        "/".join(one.asset_key.path): {name: value.value for name, value in one.metadata.items()}
        for one in made
    },
    "partitions": sorted({one.partition for one in made if one.partition}),
    "checks": {
        f"{'/'.join(one.asset_key.path)}: {one.check_name}": [one.passed, one.description]
        for one in evaluated
    },
}
print(json.dumps(told, default=str))  # noqa: T201 - its answer
