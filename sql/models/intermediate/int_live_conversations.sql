{{
    config(
        incremental_strategy='delete+insert',
        unique_key='party',
        on_schema_change='fail'
    )
}}

with all_conversations as (
    select * from {{ ref('int_conversations') }}
),

activities as (
    select * from {{ ref('int_activities') }}
),

newest as (
    select coalesce(max(build), 0) as build from activities
),

{% if is_incremental() %}
-- Activities that were all made anew under an earlier clock are not those counted here.
judged as (
    select
        coalesce(max(counted_before.build), 0) as build,
        coalesce(max(counted_before.build), 0) > {{ any_value('newest.build') }} as is_later
    from newest
    left join {{ this }} as counted_before on true
),

touched as (
    select activities.party
    from activities
    cross join judged
    where activities.build > judged.build or judged.is_later
    union
    select counted_before.party
    from {{ this }} as counted_before
    cross join judged
    where judged.is_later
),

to_count as (
    select
        activities.source,
        activities.conversation_id
    from activities
    where
        activities.is_new
        and activities.party in (select touched.party from touched)
),

conversations as (
    select * from all_conversations
    where
        deleted_at is null
        and (source, conversation_id) in (
            select
                to_count.source,
                to_count.conversation_id
            from to_count
        )
),
{% else %}
conversations as (
    select * from all_conversations
    where deleted_at is null
),
{% endif %}

live as (
    select
        {{ party_of('source', 'end_user_id', 'conversation_id') }} as party,
        source,
        conversation_id,
        platform,
        bot_id,
        message_count,
        cost_credit,
        is_human_mode,
        last_activity_at,
        end_user_id is not null and row_number() over (
            partition by source, end_user_id, platform
            order by {{ by_code_point('conversation_id') }}
        ) = 1 as is_user_of_platform,
        end_user_id is not null and row_number() over (
            partition by source, end_user_id, bot_id
            order by {{ by_code_point('conversation_id') }}
        ) = 1 as is_user_of_bot,
        end_user_id is not null
        and count(*) over (partition by source, end_user_id) > 1 as came_back
    from conversations
),

final as (
    select
        live.*,
        newest.build
    from live
    cross join newest
    {% if is_incremental() %}
    -- A party that has nothing left takes its rows along.
    union all
    select
        touched.party,
        null as source,
        null as conversation_id,
        null as platform,
        null as bot_id,
        null as message_count,
        cast(null as decimal(28, 10)) as cost_credit,
        null as is_human_mode,
        null as last_activity_at,
        null as is_user_of_platform,
        null as is_user_of_bot,
        null as came_back,
        newest.build
    from touched
    cross join newest
    where touched.party not in (select live.party from live)
    {% endif %}
)

select * from final
