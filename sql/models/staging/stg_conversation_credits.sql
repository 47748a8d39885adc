with conversation_credits as (
    select * from {{ source('chat', 'conversation_credits') }}
),

final as (
    select
        source,
        conversation_id,
        credited_on,
        bot,
        conversation_create_time,
        total,
        chat,
        anonymization,
        asr,
        tts,
        rerank,
        database_processing,
        tool_call,
        knowledge_doc_indexing,
        question_tag,
        moderation,
        extra,
        observed_at
    from conversation_credits
)

select * from final
