with conversation_changes as (
    select * from {{ source('chat', 'conversation_changes') }}
),

final as (
    select
        source,
        conversation_id,
        bot_id,
        channel,
        message_count,
        cost_credit,
        last_activity_at,
        observed_at
    from conversation_changes
)

select * from final
