with activities as (
    select * from {{ ref('int_activities') }}
),

counted as (
    select
        activity_on,
        source,
        platform,
        count(*) as active_conversations,
        count(case when is_new then 1 end) as new_conversations,
        count(case when is_user then 1 end) as active_users,
        count(case when is_new_user then 1 end) as new_users,
        cast(case when {{ bool_or('is_counted') }} then sum(messages) end as bigint) as messages
    from activities
    where activity_on is not null
    group by activity_on, source, platform
),

final as (
    select
        activity_on,
        source,
        platform,
        active_conversations,
        new_conversations,
        active_conversations - new_conversations as returning_conversations,
        active_users,
        new_users,
        active_users - new_users as returning_users,
        messages
    from counted
)

select * from final
