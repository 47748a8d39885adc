{{
    config(
        incremental_strategy='delete+insert',
        unique_key=['source', 'conversation_id'],
        on_schema_change='fail'
    )
}}

with versions as (
    select * from {{ ref('stg_conversation_changes') }}
),

platforms as (
    select * from {{ ref('platforms') }}
),

terms as (
    select
        md5(
            concat_ws(
                '|',
                '{{ var("time_zone") }}',
                {{ all_platforms() }}
            )
        ) as booked_under
    from platforms
),

{% if is_incremental() %}
booked as (
    select
        max(observed_at) as booked_until,
        min(booked_under) as oldest_terms,
        max(booked_under) as newest_terms
    from {{ this }}
),
{% endif %}

to_book as (
    select distinct
        versions.source,
        versions.conversation_id
    from versions
    {% if is_incremental() %}
    cross join booked
    cross join terms
    where
        booked.booked_until is null
        or versions.observed_at > booked.booked_until
        or booked.oldest_terms != terms.booked_under
        or booked.newest_terms != terms.booked_under
    {% endif %}
),

changes as (
    select versions.* from versions
    inner join to_book
        on
            versions.source = to_book.source
            and versions.conversation_id = to_book.conversation_id
),

compared as (
    select
        *,
        row_number() over same_conversation as observation,
        lag(last_activity_at) over same_conversation as previous_activity_at,
        cast(
            coalesce(cost_credit, 0) - coalesce(lag(cost_credit) over same_conversation, 0)
            as decimal(28, 10)
        ) as credits
    from changes
    window same_conversation as (
        partition by source, conversation_id
        order by observed_at
    )
),

final as (
    select
        {{ surrogate_key('compared.source', 'compared.conversation_id', 'compared.observed_at') }}
            as ledger_id,
        compared.source,
        compared.conversation_id,
        compared.bot_id,
        compared.channel,
        {{ platform_name('platforms.platform', 'compared.channel') }} as platform,
        compared.credits,
        case
            when compared.observation = 1 then 'first_seen'
            when compared.credits > 0 then 'observed'
            else 'correction'
        end as allocation,
        compared.previous_activity_at as spent_from,
        compared.last_activity_at as spent_until,
        {{ local_date('compared.last_activity_at') }} as spent_on,
        '{{ var("time_zone") }}' as time_zone,
        compared.observed_at,
        terms.booked_under
    from compared
    cross join terms
    left join platforms
        on
            compared.source = platforms.source
            and {{ is_channel('compared.channel', 'platforms.channel') }}
    where compared.credits != 0
)

select * from final
