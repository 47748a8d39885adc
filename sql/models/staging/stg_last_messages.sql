with last_messages as (
    select * from {{ source('chat', 'last_messages') }}
),

final as (
    select
        source,
        conversation_id,
        message_id,
        sender_type,
        content,
        updated_at
    from last_messages
)

select * from final
