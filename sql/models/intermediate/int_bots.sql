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

final as (
    select
        source,
        bot_id,
        max_by(bot, seen_at) as bot,
        max(seen_at) as last_seen_at
    from sightings
    where bot_id is not null and bot is not null
    group by source, bot_id
)

select * from final
