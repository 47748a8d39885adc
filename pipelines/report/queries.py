"""The report's SQL, on `marts` and two tables of `chat`; `data.py` says what each number means.

Texts come cut: a subject may be a megabyte long.
"""

HAS_MODELS = """
    select count(*) = 5 as found
    from information_schema.tables
    where
        table_schema = 'marts'
        and table_name in (
            'conversations', 'credit_ledger', 'credit_spend_daily', 'dim_bots', 'freshness'
        )
"""

TIME_ZONE = """
    select coalesce(max(time_zone), 'UTC') as time_zone from marts.credit_ledger
"""

# What is dated ahead of the clock belongs to the report, but must not stretch it for years.
PERIOD = """
    with days as (
        select cast($now::timestamptz at time zone $zone as date) as today
    ),

    newest as (
        select max(spent_on) as day from marts.credit_spend_daily
        union all
        select cast(max(last_activity_at) at time zone $zone as date) from marts.conversations
    )

    select
        today as made_on,
        today - ($days::int - 1) as first,
        least(today + 1, greatest(today, (select max(day) from newest))) as last
    from days
"""

ENDED = """
    create or replace temp table ended as
    select
        cast(last_activity_at at time zone $zone as date) as day,
        source, bot_id, platform, end_user_id, message_count, cost_credit, is_human_mode
    from marts.conversations
    where day between $first and $last
"""

CELLS = """
    create or replace temp table cells as
    with facts as (
        select spent_on as day, source, bot_id, platform, credits
        from marts.credit_spend_daily
        where spent_on between $first and $last
        union all by name
        select
            day, source, bot_id, platform, 1 as conversations, message_count as messages,
            cost_credit as counter, is_human_mode::int as with_a_person
        from ended
    )

    select
        day, source, bot_id, platform,
        row_number() over (order by day, source, bot_id, platform) - 1 as cell,
        coalesce(sum(credits), 0)::decimal(38, 10) as credits,
        coalesce(sum(counter), 0)::decimal(38, 10) as counters,
        count(counter) as counted,
        coalesce(sum(conversations), 0)::bigint as conversations,
        coalesce(sum(messages), 0)::bigint as messages,
        coalesce(sum(with_a_person), 0)::bigint as with_a_person
    from facts
    group by day, source, bot_id, platform
"""

ALL_CELLS = "from cells order by cell"

SIGHTINGS = """
    create or replace temp table sightings as
    select list(distinct cells.cell order by cells.cell) as cells
    from ended
    inner join cells
        on
            ended.day = cells.day
            and ended.source = cells.source
            and ended.bot_id is not distinct from cells.bot_id
            and ended.platform = cells.platform
    where ended.end_user_id is not null
    group by ended.source, ended.end_user_id
"""

REPEATED_SIGHTINGS = """
    select coalesce(sum(len(cells)), 0)::bigint as n from sightings where len(cells) > 1
"""

SINGLE = """
    select cells[1] as cell, count(*) as users from sightings where len(cells) = 1 group by cell
"""

REPEATED = "select cells from sightings where len(cells) > 1 order by cells"

SOURCES = """
    select
        source,
        count(cost_credit) > 0 as counts_credits,
        count(message_count) > 0 as counts_messages,
        count(is_human_mode) > 0 as counts_people
    from marts.conversations
    group by source
    union all
    select distinct source, true, false, false
    from marts.credit_ledger
    where source not in (select source from marts.conversations)
    order by source
"""

# `nameless` is the configured name of a bot whose id is not known: it has no conversation yet.
READINGS = """
    create or replace temp table readings as
    with names as (
        select source, bot, max_by(bot_id, seen_at) as bot_id
        from (
            select source, bot, bot_id, finished_at as seen_at from chat.sync_windows
            union all
            select source, bot, bot_id, coalesce(last_sync_at, newest_activity_at) as seen_at
            from marts.freshness
        )
        where bot_id is not null
        group by source, bot
    ),

    windows as (
        select
            w.source, coalesce(w.bot_id, n.bot_id) as bot_id,
            case when coalesce(w.bot_id, n.bot_id) is null then w.bot end as nameless,
            -- a failure is told, though a window was read at the same moment
            max_by(w.certified, row(w.finished_at, w.kind = 'failure')) as certified,
            left(max_by(w.evidence, row(w.finished_at, w.kind = 'failure')), 300) as evidence,
            max(w.finished_at) as latest
        from chat.sync_windows as w
        left join names as n on w.source = n.source and w.bot = n.bot
        where w.kind <> 'credits'  -- no reading of conversations
        group by all
    ),

    rejects as (
        select
            r.source, coalesce(r.bot_id, n.bot_id) as bot_id,
            case when coalesce(r.bot_id, n.bot_id) is null then r.bot end as nameless,
            count(*) as rejected
        from chat.rejected_rows as r
        left join names as n on r.source = n.source and r.bot = n.bot
        group by all
    ),

    fresh as (
        select *, case when bot_id is null then bot end as nameless from marts.freshness
    )

    select
        coalesce(f.source, w.source) as source,
        coalesce(f.bot_id, w.bot_id) as bot_id,
        coalesce(f.nameless, w.nameless) as nameless,
        f.bot, f.newest_activity_at, f.last_complete_sync_at,
        greatest(f.last_sync_at, w.latest) as last_sync_at,
        w.certified, w.evidence, coalesce(r.rejected, 0) as rejected
    from fresh as f
    full join windows as w
        on
            f.source = w.source
            and f.bot_id is not distinct from w.bot_id
            and f.nameless is not distinct from w.nameless
    left join rejects as r
        on
            coalesce(f.source, w.source) = r.source
            and coalesce(f.bot_id, w.bot_id) is not distinct from r.bot_id
            and coalesce(f.nameless, w.nameless) is not distinct from r.nameless
"""

BOTS = """
    with known as (
        select source, bot_id, nameless from readings
        union
        select source, bot_id, null from cells
        union
        select source, bot_id, null from marts.conversations
    )

    select
        known.source, known.bot_id, known.nameless,
        left(max(coalesce(dim_bots.name, readings.bot, known.nameless)), 200) as bot
    from known
    left join readings
        on known.source = readings.source and known.bot_id = readings.bot_id
    left join marts.dim_bots as dim_bots
        on known.source = dim_bots.source and known.bot_id = dim_bots.bot_id
    group by known.source, known.bot_id, known.nameless
    order by known.source, bot, known.bot_id
"""

NEWEST = """
    select
        strftime(last_activity_at at time zone $zone, '%Y-%m-%d %H:%M') as at,
        cast(last_activity_at at time zone $zone as date) as day,
        source, bot_id, platform,
        left(subject, 200) as subject,
        message_count as messages, cost_credit as credits
    from marts.conversations
    where day between $first and $last
    order by last_activity_at desc, source, conversation_id
    limit $most
"""

CERTIFICATES = """
    select
        r.source, r.bot_id, r.nameless, left(coalesce(d.name, r.bot, r.nameless), 200) as bot,
        r.newest_activity_at, r.last_sync_at, r.last_complete_sync_at,
        date_diff('second', r.last_complete_sync_at, $now::timestamptz) as lag_seconds,
        -- since long before the others: taken out of the configuration
        r.last_sync_at < max(r.last_sync_at) over () - interval 7 day as given_up,
        r.certified, r.evidence, r.rejected
    from readings as r
    left join marts.dim_bots as d on r.source = d.source and r.bot_id = d.bot_id
    order by r.source, coalesce(r.bot, r.nameless), r.bot_id
"""

REJECTED = "select count(*) as rejected from chat.rejected_rows"
