with bills as (
    select * from {{ source('chat', 'bills') }}
),

final as (
    select
        source,
        bot,
        billed_on,
        total,
        chat,
        knowledge_doc_indexing,
        knowledge_doc_storage,
        rerank,
        database_processing,
        tool_call,
        asr,
        tts,
        extra,
        observed_at
    from bills
)

select * from final
