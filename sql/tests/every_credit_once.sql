-- The ledger adds up to the counters, source by source, to the last decimal. Rows are differences.
-- Dagster shows it as a check of the ledger.
{{ config(meta={'dagster': {'ref': {'name': 'credit_ledger'}}}) }}

with conversations as (
    select * from {{ ref('stg_conversations') }}
),

credit_ledger as (
    select * from {{ ref('credit_ledger') }}
),

counted as (
    select
        source,
        sum(coalesce(cost_credit, 0)) as credits
    from conversations
    group by source
),

booked as (
    select
        source,
        sum(credits) as credits
    from credit_ledger
    group by source
),

final as (
    select
        coalesce(counted.source, booked.source) as source,
        counted.credits as counted_credits,
        booked.credits as booked_credits
    from counted
    full outer join booked on counted.source = booked.source
    where coalesce(counted.credits, 0) != coalesce(booked.credits, 0)
)

select * from final
