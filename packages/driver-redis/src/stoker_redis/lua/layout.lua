-- Note by which layout the store is written, if nobody has.
-- Keys: version
-- Flags: allow-oom
-- Arguments: the number of the layout.
-- Answers the number that is noted.

redis.call('SET', VERSION, ARGV[1], 'NX')
return redis.call('GET', VERSION)
