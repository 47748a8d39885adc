"""Run in Dagster's environment: re-execute the newest run from its failure, as its page does."""

import sys

import dagster as dg
from dagster._core.definitions.reconstruct import ReconstructableRepository

repository = ReconstructableRepository.for_file("definitions.py", "defs", ".")
with dg.DagsterInstance.get() as instance:
    [record] = instance.get_run_records(limit=1)
    failed = record.dagster_run
    done = dg.execute_job(
        repository.get_reconstructable_job(failed.job_name),
        instance,
        reexecution_options=dg.ReexecutionOptions.from_failure(failed.run_id, instance),
    )
    sys.exit(0 if done.success else 1)
