{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key=['source', 'conversation_id'],
        on_schema_change='fail'
    )
}}

with versions as (
    select * from {{ ref('stg_conversation_changes') }}
),

changes as (
    select * from {{ ref('int_conversation_changes') }}
),

platforms as (
    select * from {{ ref('platforms') }}
),

{% if is_incremental() %}
booked as (
    select
        source,
        conversation_id,
        max(observations) as observations,
        max(last_observed_at) as last_observed_at
    from {{ this }}
    group by source, conversation_id
),

booked_otherwise as (
    select distinct
        ledger.source,
        ledger.conversation_id
    from {{ this }} as ledger
    left join platforms
        on
            ledger.source = platforms.source
            and lower(trim(ledger.channel)) = lower(platforms.channel)
    where
        ledger.time_zone != '{{ var("time_zone") }}'
        or ledger.platform != {{ platform_name('platforms.platform', 'ledger.channel') }}
),
{% endif %}

observed as (
    select
        source,
        conversation_id,
        count(*) as observations,
        max(observed_at) as last_observed_at
    from versions
    group by source, conversation_id
    having count(case when cost_credit != 0 then 1 end) > 0
),

to_book as (
    select observed.* from observed
    {% if is_incremental() %}
    left join booked
        on
            observed.source = booked.source
            and observed.conversation_id = booked.conversation_id
    left join booked_otherwise
        on
            observed.source = booked_otherwise.source
            and observed.conversation_id = booked_otherwise.conversation_id
    where
        booked.conversation_id is null
        or booked.observations != observed.observations
        or booked.last_observed_at != observed.last_observed_at
        or booked_otherwise.conversation_id is not null
    {% endif %}
),

compared as (
    select
        changes.*,
        to_book.observations,
        to_book.last_observed_at,
        row_number() over same_conversation as observation,
        lag(changes.last_activity_at) over same_conversation as previous_activity_at,
        cast(
            coalesce(changes.cost_credit, 0)
            - coalesce(lag(changes.cost_credit) over same_conversation, 0)
            as decimal(28, 10)
        ) as credits
    from changes
    inner join to_book
        on
            changes.source = to_book.source
            and changes.conversation_id = to_book.conversation_id
    window same_conversation as (
        partition by changes.source, changes.conversation_id
        order by changes.observed_at
    )
),

final as (
    select
        {{ surrogate_key('source', 'conversation_id', 'observed_at') }} as ledger_id,
        source,
        conversation_id,
        bot_id,
        channel,
        platform,
        credits,
        case
            when observation = 1 then 'first_seen'
            when credits > 0 then 'observed'
            else 'correction'
        end as allocation,
        previous_activity_at as spent_from,
        last_activity_at as spent_until,
        {{ local_date('last_activity_at') }} as spent_on,
        '{{ var("time_zone") }}' as time_zone,
        observed_at,
        observations,
        last_observed_at
    from compared
    where credits != 0
)

select * from final
