{# A lakehouse has tables alone: no reader would find a view. #}
{{ config(materialized='table' if env_var('CONVOY_SPARK_MARTS', '') else 'view') }}

with conversations as (
    select * from {{ ref('stg_conversations') }}
),

sync_windows as (
    select * from {{ ref('stg_sync_windows') }}
),

bots as (
    select * from {{ ref('int_bots') }}
),

ranked as (
    select
        *,
        row_number() over (
            partition by source, bot
            order by last_seen_at desc, {{ by_code_point('bot_id') }}
        ) as nth
    from bots
),

names as (
    select
        source,
        bot,
        bot_id
    from ranked
    where nth = 1
),

activities as (
    select
        source,
        bot_id,
        case when bot_id is null then bot end as nameless_bot,
        max(last_activity_at) as newest_activity_at
    from conversations
    group by source, bot_id, nameless_bot
),

windows as (
    select
        sync_windows.source,
        coalesce(sync_windows.bot_id, names.bot_id) as bot_id,
        sync_windows.bot,
        sync_windows.certified,
        sync_windows.kind in ('history', 'sweep', 'head') as is_whole,
        sync_windows.finished_at
    from sync_windows
    left join names
        on
            sync_windows.source = names.source
            and sync_windows.bot = names.bot
),

syncs as (
    select
        source,
        bot_id,
        case when bot_id is null then bot end as nameless_bot,
        max(finished_at) as last_sync_at,
        max(case when certified and is_whole then finished_at end) as last_complete_sync_at
    from windows
    group by source, bot_id, nameless_bot
),

together as (
    select
        coalesce(activities.source, syncs.source) as source,
        coalesce(activities.bot_id, syncs.bot_id) as bot_id,
        coalesce(activities.nameless_bot, syncs.nameless_bot) as nameless_bot,
        activities.newest_activity_at,
        syncs.last_sync_at,
        syncs.last_complete_sync_at
    from activities
    full outer join syncs
        on
            activities.source = syncs.source
            and coalesce(activities.bot_id, '') = coalesce(syncs.bot_id, '')
            and coalesce(activities.nameless_bot, '') = coalesce(syncs.nameless_bot, '')
),

final as (
    select
        together.source,
        together.bot_id,
        coalesce(bots.bot, together.nameless_bot) as bot,
        together.newest_activity_at,
        together.last_sync_at,
        together.last_complete_sync_at,
        {{ seconds_between('together.last_complete_sync_at', present()) }} as lag_seconds
    from together
    left join bots
        on
            together.source = bots.source
            and together.bot_id = bots.bot_id
)

select * from final
