with messages as (
    select * from {{ source('chat', 'messages') }}
),

final as (
    select
        source,
        conversation_id,
        message_id,
        parent_message_id,
        sender_type,
        {{ sender_name('sender_type') }} as sender,
        content,
        attachments,
        created_at,
        model,
        provider,
        tokens_used,
        extra,
        observed_at
    from messages
)

select * from final
