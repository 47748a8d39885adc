{%- set kinds = [
    "chat", "knowledge_doc_indexing", "knowledge_doc_storage", "rerank", "database_processing",
    "tool_call", "asr", "tts"
] -%}
with recursive bills as (
    select * from {{ ref('stg_bills') }}
),

conversations as (
    select * from {{ ref('stg_conversations') }}
),

sync_windows as (
    select * from {{ ref('stg_sync_windows') }}
),

sightings as (
    select
        source,
        bot,
        bot_id,
        observed_at as seen_at
    from conversations
    union all
    select
        source,
        bot,
        bot_id,
        finished_at as seen_at
    from sync_windows
),

identified as (
    select
        source,
        bot,
        max_by(bot_id, seen_at) as bot_id
    from sightings
    where bot is not null and bot_id is not null
    group by source, bot
),

-- What was read before a day had settled may differ between two keys of one account.
settled as (
    select
        source,
        bot,
        billed_on,
        total != 0 as is_spent,
        concat_ws(
            '|',
            total
            {%- for kind in kinds %},
            coalesce(cast({{ kind }} as varchar), '')
            {%- endfor %}
        ) as figures
    from bills
    where observed_at at time zone 'UTC' >= billed_on + interval 4 day
),

-- Each bot is compared with the first that has its figures, not with every other.
met as (
    select
        source,
        bot,
        is_spent,
        min(bot) over (partition by source, billed_on, figures) as other_bot
    from settled
),

candidates as (
    select
        source,
        bot,
        other_bot
    from met
    where bot != other_bot and is_spent
    group by source, bot, other_bot
    having count(*) >= 3
),

alike as (
    select
        candidates.source,
        candidates.bot,
        candidates.other_bot
    from candidates
    inner join settled as one
        on
            candidates.source = one.source
            and candidates.bot = one.bot
    inner join settled as other
        on
            candidates.source = other.source
            and candidates.other_bot = other.bot
            and one.billed_on = other.billed_on
    group by candidates.source, candidates.bot, candidates.other_bot
    having bool_and(one.figures = other.figures)
),

billed as (
    select distinct
        source,
        bot
    from bills
),

renamed as (
    select
        billed.source,
        billed.bot,
        min(billed.bot) over (partition by billed.source, identified.bot_id) as other_bot
    from billed
    inner join identified
        on
            billed.source = identified.source
            and billed.bot = identified.bot
),

links as (
    select * from alike
    union
    select * from renamed
    union
    select
        source,
        other_bot as bot,
        bot as other_bot
    from alike
    union
    select
        source,
        other_bot as bot,
        bot as other_bot
    from renamed
),

together as (
    select
        source,
        bot,
        bot as other_bot
    from billed
    union
    select
        together.source,
        together.bot,
        links.other_bot
    from together
    inner join links
        on
            together.source = links.source
            and together.other_bot = links.bot
),

final as (
    select
        source,
        bot,
        min(other_bot) as account,
        string_agg(other_bot, ', ' order by other_bot) as bots
    from together
    group by source, bot
)

select * from final
