with conversations as (
    select * from {{ ref('int_live_conversations') }}
),

measured as (
    select
        source,
        platform,
        {{ conversation_measures('is_user_of_platform') }}
    from conversations
    where source is not null
    group by source, platform
),

final as (
    select
        source,
        platform,
        conversations,
        users,
        messages,
        credits,
        {{ share_of_whole('conversations') }} as share_of_conversations,
        {{ share_of_whole('credits') }} as share_of_credits,
        human_mode_conversations,
        last_activity_at,
        share_of_human_mode,
        repeat_users,
        credits_per_conversation,
        credits_per_message
    from measured
)

select * from final
