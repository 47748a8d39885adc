{{
    config(
        incremental_strategy='delete+insert',
        unique_key='spent_on',
        on_schema_change='fail'
    )
}}

with credit_ledger as (
    select * from {{ ref('credit_ledger') }}
),

days as (
    select
        spent_on,
        sum({{ number_of(['observed_at', 'credits', 'booked_under']) }} % 4294967296) as version
    from credit_ledger
    group by spent_on
),

{% if is_incremental() %}
counted as (
    select
        spent_on,
        {{ any_value('version') }} as version
    from {{ this }}
    group by spent_on
),

stale as (
    select
        coalesce(days.spent_on, counted.spent_on) as spent_on,
        days.version
    from days
    full outer join counted on days.spent_on = counted.spent_on
    where days.version is distinct from counted.version
),
{% else %}
stale as (
    select * from days
),
{% endif %}

spent as (
    select
        spent_on,
        source,
        bot_id,
        platform,
        sum(credits) as credits,
        count(distinct conversation_id) as conversations
    from credit_ledger
    where spent_on in (select stale.spent_on from stale)
    group by spent_on, source, bot_id, platform
),

-- A day that has nothing left is kept without a source, so that its rows go.
final as (
    select
        stale.spent_on,
        spent.source,
        spent.bot_id,
        spent.platform,
        spent.credits,
        spent.conversations,
        stale.version
    from stale
    left join spent on stale.spent_on = spent.spent_on
)

select * from final
