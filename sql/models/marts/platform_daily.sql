with conversations as (
    select * from {{ ref('int_conversations') }}
),

conversation_changes as (
    select * from {{ ref('int_conversation_changes') }}
),

versions as (
    select * from {{ ref('stg_conversation_changes') }}
),

first_activities as (
    select
        source,
        conversation_id,
        min(last_activity_at) as first_activity_at
    from versions
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

counted as (
    select
        {{ local_date('last_activity_at') }} as activity_on,
        source,
        platform,
        count(distinct conversation_id) as active_conversations,
        0 as new_conversations
    from conversation_changes
    group by activity_on, source, platform
    union all
    select
        {{ local_date('started_at') }} as activity_on,
        source,
        platform,
        0 as active_conversations,
        count(*) as new_conversations
    from started
    group by activity_on, source, platform
),

final as (
    select
        activity_on,
        source,
        platform,
        cast(sum(active_conversations) as bigint) as active_conversations,
        cast(sum(new_conversations) as bigint) as new_conversations
    from counted
    group by activity_on, source, platform
)

select * from final
