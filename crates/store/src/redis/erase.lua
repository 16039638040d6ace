-- ARGV: the epoch; what the caller claimed, or nothing; the owner; how many archive rows at most; the kinds.
-- Answers whether there is more.
local refused = refusal(ARGV[1], ARGV[2])
if refused then return refused end
local owner, most = ARGV[3], tonumber(ARGV[4])
local ids = call('ZRANGEBYLEX', at .. 'it:' .. owner, '-', '+', 'LIMIT', 0, most)
for _, id in ipairs(ids) do remove(owner, id) end
if #ids == most then return 'm' end
call('DEL', at .. 'io:' .. owner)
for n = 5, #ARGV do
  call('DEL', at .. 'r' .. ARGV[n] .. ':' .. owner)
  call('ZREM', at .. 'x' .. ARGV[n], owner)
end
return 'k'
