-- Workers that have announced themselves: a field of WORKERS for each, with the first announcement,
-- the time until which it holds, and the size of the names of its queues; then these, and what it
-- says of itself. EXPIRING has them by that time.

local ROW = '<i8i8I4'
