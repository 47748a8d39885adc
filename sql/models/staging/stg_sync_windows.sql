with sync_windows as (
    select * from {{ source('chat', 'sync_windows') }}
),

final as (
    select
        source,
        bot,
        bot_id,
        kind,
        window_start,
        window_end,
        total_before,
        total_after,
        distinct_rows,
        requests,
        certified,
        evidence,
        started_at,
        finished_at
    from sync_windows
    where kind is distinct from 'credits'
)

select * from final
