-- The server's time, or the one that is given. Its key says only which server.
-- Keys: names
-- Uses: time
-- Arguments: now or nothing.

return clock(ARGV[1])
