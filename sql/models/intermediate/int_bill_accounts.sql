with recursive bills as (
    select * from {{ ref('stg_bills') }}
),

settled as (
    select * from bills
    where billed_on < cast({{ present() }} at time zone 'UTC' as date) - 1
),

alike as (
    select
        one.source,
        one.bot,
        other.bot as other_bot
    from settled as one
    inner join settled as other
        on
            one.source = other.source
            and one.billed_on = other.billed_on
    group by one.source, one.bot, other.bot
    having
        bool_and(
            one.total = other.total
            and one.chat is not distinct from other.chat
            and one.knowledge_doc_indexing is not distinct from other.knowledge_doc_indexing
            and one.knowledge_doc_storage is not distinct from other.knowledge_doc_storage
            and one.rerank is not distinct from other.rerank
            and one.database_processing is not distinct from other.database_processing
            and one.tool_call is not distinct from other.tool_call
            and one.asr is not distinct from other.asr
            and one.tts is not distinct from other.tts
        )
        and bool_or(one.total != 0)
),

together as (
    select distinct
        source,
        bot,
        bot as other_bot
    from bills
    union
    select
        together.source,
        together.bot,
        alike.other_bot
    from together
    inner join alike
        on
            together.source = alike.source
            and together.other_bot = alike.bot
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
