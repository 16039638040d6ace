-- ARGV: the first id that stays; how many rows at most. Answers how many were removed.
local most, removed = tonumber(ARGV[2]), 0
for _, owner in ipairs(call('ZRANGE', at .. 'ia', 0, -1)) do
  if removed >= most then break end
  local ids = call('ZRANGEBYLEX', at .. 'it:' .. owner, '-', '(' .. ARGV[1], 'LIMIT', 0, most - removed)
  for _, id in ipairs(ids) do remove(owner, id) end
  removed = removed + #ids
end
return removed
