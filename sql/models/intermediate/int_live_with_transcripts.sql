with conversations as (
    select * from {{ ref('int_live_conversations') }}
),

transcripts as (
    select * from {{ ref('int_transcripts') }}
),

final as (
    select
        conversations.*,
        transcripts.first_response_seconds,
        transcripts.conversation_id is not null as has_transcript
    from conversations
    left join transcripts
        on
            conversations.source = transcripts.source
            and conversations.conversation_id = transcripts.conversation_id
    where conversations.source is not null
)

select * from final
