-- KEYS: the mark of the cluster; by what the cluster is known; whether members of it act. ARGV: the mark before, or
-- nothing; the next one; the key; by what the cluster is known; for how long it counts as alive. Once more is the same.
local call = redis.call
local now = call('HGET', KEYS[1], 'mark') or ''
if now ~= ARGV[1] and now ~= ARGV[2] then return 0 end
local whose = call('GET', KEYS[2])
if whose and whose ~= ARGV[4] then return -1 end
call('SET', KEYS[2], ARGV[4])
call('HSET', KEYS[1], 'mark', ARGV[2], 'key', ARGV[3])
call('SET', KEYS[3], '1', 'PX', ARGV[5])
return 1
