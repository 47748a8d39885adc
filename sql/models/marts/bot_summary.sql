with all_conversations as (
    select * from {{ ref('int_conversations') }}
),

bots as (
    select * from {{ ref('dim_bots') }}
),

conversations as (
    select
        source,
        bot_id,
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
        bot_id,
        {{ conversation_measures() }}
    from conversations
    group by source, bot_id
),

final as (
    select
        measured.source,
        measured.bot_id,
        bots.bot,
        measured.conversations,
        measured.users,
        measured.messages,
        measured.credits,
        {{ share_of_whole('measured.conversations') }} as share_of_conversations,
        {{ share_of_whole('measured.credits') }} as share_of_credits,
        measured.human_mode_conversations,
        measured.last_activity_at,
        measured.share_of_human_mode,
        measured.repeat_users,
        measured.credits_per_conversation,
        measured.credits_per_message,
        bots.name
    from measured
    left join bots
        on
            measured.source = bots.source
            and measured.bot_id = bots.bot_id
)

select * from final
