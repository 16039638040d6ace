-- ARGV: the epoch; what the caller claimed, or nothing; then the writes, each with its arguments.
local refused = refusal(ARGV[1], ARGV[2])
if refused then return refused end
local at_write, last = 3, #ARGV
while at_write <= last do
  local op, owner = ARGV[at_write], ARGV[at_write + 1]
  if op == 'p' then
    local kind, item, value = ARGV[at_write + 2], ARGV[at_write + 3], ARGV[at_write + 4]
    if call('HSET', at .. 'r' .. kind .. ':' .. owner, item, value) == 1 then
      call('ZADD', at .. 'x' .. kind, 0, owner)
    end
    at_write = at_write + 5
  elseif op == 'd' then
    local kind, item = ARGV[at_write + 2], ARGV[at_write + 3]
    local rows = at .. 'r' .. kind .. ':' .. owner
    call('HDEL', rows, item)
    if call('EXISTS', rows) == 0 then call('ZREM', at .. 'x' .. kind, owner) end
    at_write = at_write + 4
  elseif op == 'a' then
    append(owner, ARGV[at_write + 2], ARGV[at_write + 3])
    at_write = at_write + 4
  elseif op == 't' then
    local id, row = ARGV[at_write + 2], ARGV[at_write + 3]
    local old = call('HGET', at .. 'i:' .. owner, id)
    if old then
      unlink(owner, id, old)
      link(owner, id, row)
    end
    at_write = at_write + 4
  else
    remove(owner, ARGV[at_write + 2])
    at_write = at_write + 3
  end
end
return 'k'
