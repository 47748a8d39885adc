{# A lakehouse has tables alone: no reader would find a view. #}
{{ config(materialized='table' if env_var('CONVOY_SPARK_MARTS', '') else 'view') }}

with conversations as (
    select * from {{ ref('stg_conversations') }}
),

conversation_changes as (
    select * from {{ ref('stg_conversation_changes') }}
),

sync_windows as (
    select * from {{ ref('stg_sync_windows') }}
),

named as (
    select * from {{ ref('stg_bots') }}
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
        null as bot,
        observed_at as seen_at
    from conversation_changes
    union all
    select
        source,
        bot_id,
        bot,
        finished_at as seen_at
    from sync_windows
    union all
    select
        source,
        bot_id,
        bot,
        observed_at as seen_at
    from named
),

seen_as as (
    select
        source,
        bot_id,
        bot,
        min(seen_at) as first_seen_at,
        max(seen_at) as last_seen_at
    from sightings
    where bot_id is not null
    group by source, bot_id, bot
),

ranked as (
    select
        source,
        bot_id,
        bot,
        min(first_seen_at) over (partition by source, bot_id) as first_seen_at,
        max(last_seen_at) over (partition by source, bot_id) as last_seen_at,
        row_number() over (
            partition by source, bot_id
            order by
                case when bot is null then 1 else 0 end,
                last_seen_at desc,
                {{ by_code_point('bot') }}
        ) as nth
    from seen_as
),

seen as (
    select * from ranked
    where nth = 1
),

final as (
    select
        seen.source,
        seen.bot_id,
        seen.bot,
        coalesce(nullif({{ trimmed('named.name') }}, ''), seen.bot, seen.bot_id) as name,
        seen.first_seen_at,
        seen.last_seen_at
    from seen
    left join named
        on
            seen.source = named.source
            and seen.bot_id = named.bot_id
)

select * from final
