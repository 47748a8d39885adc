{{
    config(
        incremental_strategy='delete+insert',
        unique_key='party',
        on_schema_change='fail'
    )
}}

with all_changes as (
    select * from {{ ref('int_conversation_changes') }}
),

all_conversations as (
    select
        source,
        conversation_id,
        platform,
        end_user_id,
        created_at,
        last_activity_at,
        deleted_at,
        observed_at
    from {{ ref('int_conversations') }}
),

platforms as (
    select * from {{ ref('platforms') }}
),

terms as (
    select
        {{ number_of([
            "cast('" ~ var("time_zone") ~ "' as " ~ type_string() ~ ")", all_platforms()
        ]) }} as counted_under
    from platforms
),

{% if is_incremental() %}
counted as (
    select
        max(observed_at) as read_until,
        max(changed_at) as changed_until,
        max(deleted_at) as deleted_until,
        count(observed_at) as conversations,
        coalesce(
            sum(case when is_new then {{ reading_of('observed_at', 'deleted_at') }} end), 0
        ) as readings,
        coalesce(sum(changes), 0) as changes,
        min(counted_under) as oldest_terms,
        max(counted_under) as newest_terms
    from {{ this }}
),

read_since as (
    select
        all_conversations.source,
        all_conversations.conversation_id,
        {{ number_of(['all_conversations.source', 'all_conversations.conversation_id']) }}
            as conversation,
        {{ party_of(
            'all_conversations.source',
            'all_conversations.end_user_id',
            'all_conversations.conversation_id'
        ) }} as party
    from all_conversations
    cross join counted
    where
        counted.read_until is null
        or all_conversations.observed_at > counted.read_until
        or all_conversations.deleted_at > counted.deleted_until
        or (all_conversations.deleted_at is not null and counted.deleted_until is null)
),

changed_since as (
    select distinct
        all_changes.source,
        all_changes.conversation_id,
        {{ number_of(['all_changes.source', 'all_changes.conversation_id']) }} as conversation
    from all_changes
    cross join counted
    where counted.changed_until is null or all_changes.observed_at > counted.changed_until
),

-- What was read before must be there still and be all there is, or nothing counted is relied upon:
-- a clock that was set back, rows that were taken out.
read_before as (
    select
        count(*) as conversations,
        coalesce(
            sum({{ reading_of(
                'all_conversations.observed_at', 'all_conversations.deleted_at'
            ) }}), 0
        ) as readings
    from all_conversations
    cross join counted
    where
        all_conversations.observed_at <= counted.read_until
        and (
            all_conversations.deleted_at is null
            or all_conversations.deleted_at <= counted.deleted_until
        )
),

replaced as (
    select
        count(*) as conversations,
        coalesce(sum({{ reading_of('observed_at', 'deleted_at') }}), 0) as readings
    from {{ this }}
    where
        is_new
        and conversation in (select read_since.conversation from read_since)
),

changed_before as (
    select count(*) as changes
    from all_changes
    cross join counted
    where all_changes.observed_at <= counted.changed_until
),

judged as (
    select
        counted.conversations = read_before.conversations + replaced.conversations
        and counted.readings = read_before.readings + replaced.readings
        and counted.changes = changed_before.changes
        and coalesce(counted.oldest_terms = terms.counted_under, true)
        and coalesce(counted.newest_terms = terms.counted_under, true) as is_sound
    from counted
    cross join read_before
    cross join replaced
    cross join changed_before
    cross join terms
),

touched as (
    select counted_before.party
    from {{ this }} as counted_before
    cross join judged
    where
        not judged.is_sound
        or counted_before.conversation in (
            select read_since.conversation from read_since
            union all
            select changed_since.conversation from changed_since
        )
    union
    select party
    from read_since
),

to_count as (
    select
        source,
        conversation_id
    from {{ this }}
    where party in (select touched.party from touched)
    union
    select
        source,
        conversation_id
    from read_since
    union
    select
        source,
        conversation_id
    from changed_since
),

-- Later than all builds before, though the clock was set back.
builds as (
    select greatest({{ epoch_microseconds(present()) }}, coalesce(max(build), 0) + 1) as build
    from {{ this }}
),

changes as (
    select all_changes.*
    from all_changes
    cross join judged
    where
        not judged.is_sound
        or (all_changes.source, all_changes.conversation_id) in (
            select
                to_count.source,
                to_count.conversation_id
            from to_count
        )
),

conversations as (
    select all_conversations.*
    from all_conversations
    cross join judged
    where
        not judged.is_sound
        or (all_conversations.source, all_conversations.conversation_id) in (
            select
                to_count.source,
                to_count.conversation_id
            from to_count
        )
),
{% else %}
builds as (
    select {{ epoch_microseconds(present()) }} as build
),

changes as (
    select * from all_changes
),

conversations as (
    select * from all_conversations
),
{% endif %}

movements as (
    select
        source,
        conversation_id,
        platform,
        {{ local_date('last_activity_at') }} as activity_on,
        last_activity_at,
        observed_at,
        row_number() over same_conversation as observation,
        coalesce(message_count, 0)
        - coalesce(lag(message_count) over same_conversation, 0) as messages,
        message_count is not null as is_counted
    from changes
    window same_conversation as (
        partition by source, conversation_id
        order by observed_at
    )
),

first_activities as (
    select
        source,
        conversation_id,
        min(last_activity_at) as first_activity_at,
        max(case when observation = 1 then platform end) as first_platform
    from movements
    group by source, conversation_id
),

started as (
    select
        conversations.source,
        conversations.conversation_id,
        coalesce(first_activities.first_platform, conversations.platform) as platform,
        conversations.end_user_id,
        conversations.observed_at,
        conversations.deleted_at,
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

sightings as (
    select
        source,
        conversation_id,
        platform,
        activity_on,
        messages,
        is_counted,
        observed_at as changed_at
    from movements
    union all
    select
        source,
        conversation_id,
        platform,
        started_on as activity_on,
        null as messages,
        null as is_counted,
        null as changed_at
    from started
),

active_days as (
    select
        source,
        conversation_id,
        platform,
        activity_on,
        cast(sum(messages) as bigint) as messages,
        {{ bool_or('is_counted') }} as is_counted,
        count(is_counted) as changes,
        max(changed_at) as changed_at
    from sightings
    group by source, conversation_id, platform, activity_on
),

activities as (
    select
        active_days.*,
        started.end_user_id,
        started.observed_at,
        started.deleted_at,
        coalesce(
            started.started_on = active_days.activity_on
            and started.platform = active_days.platform,
            false
        ) as is_new
    from active_days
    left join started
        on
            active_days.source = started.source
            and active_days.conversation_id = started.conversation_id
),

ranked as (
    select
        *,
        end_user_id is not null and row_number() over (
            partition by source, end_user_id, activity_on, platform
            order by {{ by_code_point('conversation_id') }}
        ) = 1 as is_user,
        min(activity_on) over (partition by source, end_user_id) as user_since
    from activities
),

booked as (
    select
        {{ party_of('ranked.source', 'ranked.end_user_id', 'ranked.conversation_id') }} as party,
        {{ number_of(['ranked.source', 'ranked.conversation_id']) }} as conversation,
        ranked.source,
        ranked.conversation_id,
        ranked.platform,
        ranked.activity_on,
        ranked.is_new,
        ranked.is_user,
        ranked.is_user and ranked.activity_on = ranked.user_since as is_new_user,
        ranked.messages,
        ranked.is_counted,
        ranked.changes,
        ranked.changed_at,
        case when ranked.is_new then ranked.observed_at end as observed_at,
        case when ranked.is_new then ranked.deleted_at end as deleted_at,
        terms.counted_under,
        builds.build
    from ranked
    cross join terms
    cross join builds
),

final as (
    select * from booked
    {% if is_incremental() %}
    -- A party that has nothing left takes its rows along.
    union all
    select
        touched.party,
        null as conversation,
        null as source,
        null as conversation_id,
        null as platform,
        null as activity_on,
        null as is_new,
        null as is_user,
        null as is_new_user,
        null as messages,
        null as is_counted,
        null as changes,
        null as changed_at,
        null as observed_at,
        null as deleted_at,
        terms.counted_under,
        builds.build
    from touched
    cross join terms
    cross join builds
    where touched.party not in (select booked.party from booked)
    {% endif %}
)

select * from final
