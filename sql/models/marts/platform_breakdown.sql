with live_conversations as (
    select * from {{ ref('conversations') }}
),

conversations as (
    select
        *,
        count(*) over (partition by source, end_user_id) > 1 as came_back
    from live_conversations
),

measured as (
    select
        source,
        platform,
        {{ conversation_measures() }}
    from conversations
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
