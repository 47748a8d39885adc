with conversations as (
    select * from {{ ref('stg_conversations') }}
),

sync_windows as (
    select * from {{ ref('stg_sync_windows') }}
),

sightings as (
    select
        source,
        bot_id,
        bot,
        observed_at as seen_at
    from conversations
    union all
    select
        source,
        bot_id,
        bot,
        finished_at as seen_at
    from sync_windows
),

seen as (
    select
        source,
        bot_id,
        bot,
        max(seen_at) as last_seen_at
    from sightings
    where bot_id is not null and bot is not null
    group by source, bot_id, bot
),

ranked as (
    select
        *,
        row_number() over (
            partition by source, bot_id
            order by last_seen_at desc, {{ by_code_point('bot') }}
        ) as nth
    from seen
),

final as (
    select
        source,
        bot_id,
        bot,
        last_seen_at
    from ranked
    where nth = 1
)

select * from final
