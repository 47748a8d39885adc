with conversation_changes as (
    select * from {{ ref('int_conversation_changes') }}
),

final as (
    select
        source,
        conversation_id,
        platform,
        {{ local_date('last_activity_at') }} as activity_on,
        last_activity_at,
        observed_at,
        coalesce(message_count, 0)
        - coalesce(lag(message_count) over same_conversation, 0) as messages,
        message_count is not null as is_counted
    from conversation_changes
    window same_conversation as (
        partition by source, conversation_id
        order by observed_at
    )
)

select * from final
