-- Before every script. KEYS[1] is the bucket's `own`; all other keys begin as it does and stand in its slot.
local own = KEYS[1]
local at = string.sub(own, 1, -4)
local call = redis.call

-- Epochs are compared in halves: a number of Lua is exact up to 2^53, and text is compared by the locale.
local function below(a, b)
  local x, y = tonumber(string.sub(a, 1, 8), 16), tonumber(string.sub(b, 1, 8), 16)
  if x ~= y then return x < y end
  return tonumber(string.sub(a, 9), 16) < tonumber(string.sub(b, 9), 16)
end

local now = call('GET', own) or ''

-- Why the caller may not: its epoch was superseded, or the bucket has forgotten what the caller claimed.
local function refusal(epoch, claimed)
  if now ~= '' and below(epoch, now) then return 'f' .. now end
  if claimed ~= '' and (now == '' or below(now, claimed)) then return 'l' .. now end
end

local function parts(row)
  local stop = 21 + string.byte(row, 20) * 256 + string.byte(row, 21)
  return string.sub(row, 1, 19), string.sub(row, 22, stop)
end

local function link(owner, id, row)
  local origin, peer = parts(row)
  call('HSET', at .. 'i:' .. owner, id, row)
  call('ZADD', at .. 'it:' .. owner, 0, id)
  call('ZADD', at .. 'ip:' .. owner .. '/' .. peer, 0, id)
  if string.byte(row, 1) == 1 then call('HSET', at .. 'io:' .. owner, origin, id) end
end

local function unlink(owner, id, row)
  local origin, peer = parts(row)
  call('ZREM', at .. 'ip:' .. owner .. '/' .. peer, id)
  if call('HGET', at .. 'io:' .. owner, origin) == id then call('HDEL', at .. 'io:' .. owner, origin) end
end

-- A client's stanza that is in the archive under another id is the same message, sent again.
local function append(owner, id, row)
  if string.byte(row, 1) == 1 then
    local known = call('HGET', at .. 'io:' .. owner, string.sub(row, 1, 19))
    if known and known ~= id then return end
  end
  local old = call('HGET', at .. 'i:' .. owner, id)
  if old then unlink(owner, id, old) end
  link(owner, id, row)
  call('ZADD', at .. 'ia', 0, owner)
end

local function remove(owner, id)
  local old = call('HGET', at .. 'i:' .. owner, id)
  if not old then return end
  unlink(owner, id, old)
  call('HDEL', at .. 'i:' .. owner, id)
  call('ZREM', at .. 'it:' .. owner, id)
  if call('EXISTS', at .. 'it:' .. owner) == 0 then call('ZREM', at .. 'ia', owner) end
end
