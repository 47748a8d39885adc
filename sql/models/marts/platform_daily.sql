with conversations as (
    select * from {{ ref('int_conversations') }}
),

conversation_changes as (
    select * from {{ ref('int_conversation_changes') }}
),

first_activities as (
    select
        source,
        conversation_id,
        min(last_activity_at) as first_activity_at
    from conversation_changes
    group by source, conversation_id
),

started as (
    select
        conversations.source,
        conversations.platform,
        conversations.conversation_id,
        coalesce(
            conversations.created_at,
            first_activities.first_activity_at,
            conversations.last_activity_at
        ) as started_at
    from conversations
    left join first_activities
        on
            conversations.source = first_activities.source
            and conversations.conversation_id = first_activities.conversation_id
),

events as (
    select
        {{ local_date('last_activity_at') }} as activity_on,
        source,
        platform,
        conversation_id as active_conversation_id,
        cast(null as varchar) as new_conversation_id
    from conversation_changes
    union all
    select
        {{ local_date('started_at') }} as activity_on,
        source,
        platform,
        cast(null as varchar) as active_conversation_id,
        conversation_id as new_conversation_id
    from started
),

final as (
    select
        activity_on,
        source,
        platform,
        count(distinct active_conversation_id) as active_conversations,
        count(distinct new_conversation_id) as new_conversations
    from events
    group by activity_on, source, platform
)

select * from final
