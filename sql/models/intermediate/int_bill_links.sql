-- A table, as what reads it does so many times.
{{ config(materialized='table') }}

{%- set kinds = [
    "chat", "knowledge_doc_indexing", "knowledge_doc_storage", "rerank", "database_processing",
    "tool_call", "asr", "tts"
] -%}
with bills as (
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

seen as (
    select
        source,
        bot,
        bot_id,
        max(seen_at) as last_seen_at
    from sightings
    where bot is not null and bot_id is not null
    group by source, bot, bot_id
),

ranked as (
    select
        *,
        row_number() over (
            partition by source, bot
            order by last_seen_at desc, {{ by_code_point('bot_id') }}
        ) as nth
    from seen
),

identified as (
    select
        source,
        bot,
        bot_id
    from ranked
    where nth = 1
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
            cast(total as {{ type_string() }})
            {%- for kind in kinds %},
            coalesce(cast({{ kind }} as {{ type_string() }}), '')
            {%- endfor %}
        ) as figures
    from bills
    where {{ local_date('observed_at', 'UTC') }} >= billed_on + 4
),

-- Each bot is compared with the first that has its figures, not with every other.
met as (
    select
        source,
        bot,
        is_spent,
        min({{ by_code_point('bot') }}) over (partition by source, billed_on, figures)
            as other_bot
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
    having count(case when one.figures = other.figures then 1 end) = count(*)
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
        min({{ by_code_point('billed.bot') }})
            over (partition by billed.source, identified.bot_id) as other_bot
    from billed
    inner join identified
        on
            billed.source = identified.source
            and billed.bot = identified.bot
),

final as (
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
    union
    select
        source,
        bot,
        bot as other_bot
    from billed
)

select * from final
