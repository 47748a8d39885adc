with transcripts as (
    select * from {{ source('chat', 'transcripts') }}
),

final as (
    select
        source,
        conversation_id,
        last_activity_at,
        message_count,
        complete,
        evidence,
        messages,
        read_at
    from transcripts
)

select * from final
