-- Let go of the jobs of a queue ($1), and hint at them on a channel ($2).
with resumed as (
    delete from stoker.pauses where queue = $1::text
)
select count(pg_notify($2::text, 'W' || $1::text))
