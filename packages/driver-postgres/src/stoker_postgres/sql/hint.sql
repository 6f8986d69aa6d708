-- Give hints ($2) to the workers that listen on a channel ($1).
select count(pg_notify($1::text, hint)) from unnest($2::text[]) as hint
