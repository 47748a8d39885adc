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

BOTS = """
    with known as (
        select source, bot_id from marts.freshness
        union
        select source, bot_id from cells
        union
        select source, bot_id from marts.conversations
    )

    select
        known.source, known.bot_id,
        left(max(coalesce(dim_bots.name, freshness.bot)), 200) as bot
    from known
    left join marts.freshness as freshness
        on known.source = freshness.source and known.bot_id = freshness.bot_id
    left join marts.dim_bots as dim_bots
        on known.source = dim_bots.source and known.bot_id = dim_bots.bot_id
    group by known.source, known.bot_id
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

# A window names the bot as it is configured; before its first row it knows no id.
CERTIFICATES = """
    with names as (
        select source, bot, max_by(bot_id, finished_at) as bot_id
        from chat.sync_windows
        where bot_id is not null
        group by source, bot
    ),

    windows as (
        select
            w.source, coalesce(w.bot_id, n.bot_id) as bot_id,
            case when coalesce(w.bot_id, n.bot_id) is null then w.bot end as nameless,
            max_by(w.certified, w.finished_at) as certified,
            left(max_by(w.evidence, w.finished_at), 300) as evidence,
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
    )

    select
        f.source, f.bot_id, left(coalesce(d.name, f.bot), 200) as bot,
        f.newest_activity_at, f.last_sync_at, f.last_complete_sync_at,
        date_diff('second', f.last_complete_sync_at, $now::timestamptz) as lag_seconds,
        w.certified, w.evidence, coalesce(r.rejected, 0) as rejected
    from marts.freshness as f
    left join marts.dim_bots as d on f.source = d.source and f.bot_id = d.bot_id
    left join windows as w
        on
            f.source = w.source
            and (f.bot_id = w.bot_id or (f.bot_id is null and f.bot = w.nameless))
    left join rejects as r
        on
            f.source = r.source
            and (f.bot_id = r.bot_id or (f.bot_id is null and f.bot = r.nameless))
    order by f.source, f.bot, f.bot_id
"""

REJECTED = "select count(*) as rejected from chat.rejected_rows"
