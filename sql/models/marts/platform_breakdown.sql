with all_conversations as (
    select * from {{ ref('int_conversations') }}
),

conversations as (
    select
        source,
        platform,
        end_user_id,
        message_count,
        cost_credit,
        is_human_mode,
        last_activity_at,
        count(*) over (partition by source, end_user_id) > 1 as came_back
    from all_conversations
    where deleted_at is null
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
