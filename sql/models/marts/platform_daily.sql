with conversations as (
    select * from {{ ref('int_conversations') }}
),

movements as (
    select * from {{ ref('int_movements') }}
),

first_activities as (
    select
        source,
        conversation_id,
        min(last_activity_at) as first_activity_at,
        min_by(platform, observed_at) as first_platform
    from movements
    group by source, conversation_id
),

started as (
    select
        conversations.source,
        conversations.conversation_id,
        coalesce(first_activities.first_platform, conversations.platform) as platform,
        conversations.end_user_id,
        {{ local_date('coalesce(
            conversations.created_at,
            first_activities.first_activity_at,
            conversations.last_activity_at
        )') }} as started_on
    from conversations
    left join first_activities
        on
            conversations.source = first_activities.source
            and conversations.conversation_id = first_activities.conversation_id
),

active_days as (
    select
        started_on as activity_on,
        source,
        platform,
        conversation_id
    from started
    union
    select
        activity_on,
        source,
        platform,
        conversation_id
    from movements
),

activities as (
    select
        active_days.*,
        started.end_user_id,
        coalesce(
            started.started_on = active_days.activity_on
            and started.platform = active_days.platform,
            false
        ) as is_new,
        min(active_days.activity_on) over (
            partition by active_days.source, started.end_user_id
        ) as user_since
    from active_days
    left join started
        on
            active_days.source = started.source
            and active_days.conversation_id = started.conversation_id
),

counted as (
    select
        activity_on,
        source,
        platform,
        count(distinct conversation_id) as active_conversations,
        count(distinct case when is_new then conversation_id end) as new_conversations,
        count(distinct end_user_id) as active_users,
        count(distinct case when user_since = activity_on then end_user_id end) as new_users
    from activities
    group by activity_on, source, platform
),

message_volumes as (
    select
        activity_on,
        source,
        platform,
        cast(case when max(is_counted) then sum(messages) end as bigint) as messages
    from movements
    group by activity_on, source, platform
),

final as (
    select
        counted.activity_on,
        counted.source,
        counted.platform,
        counted.active_conversations,
        counted.new_conversations,
        counted.active_conversations - counted.new_conversations as returning_conversations,
        counted.active_users,
        counted.new_users,
        counted.active_users - counted.new_users as returning_users,
        message_volumes.messages
    from counted
    left join message_volumes
        on
            counted.activity_on = message_volumes.activity_on
            and counted.source = message_volumes.source
            and counted.platform = message_volumes.platform
)

select * from final
