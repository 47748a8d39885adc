-- What is billed on a settled day that the ledger has seen from its beginning is booked, or spent
-- on documents. A warning, as a bill may hold bots that are not configured. Rows are the days.
{{ config(severity='warn') }}

with bill_reconciliation_daily as (
    select * from {{ ref('bill_reconciliation_daily') }}
),

final as (
    select * from bill_reconciliation_daily
    where
        is_settled
        and is_observed
        and abs(difference) > greatest(1, {{ var("bill_tolerance") }} * billed)
)

select * from final
