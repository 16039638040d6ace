-- ARGV: the epoch; whether the bucket must have one already. Raises only.
if now ~= '' and below(ARGV[1], now) then return 'f' .. now end
if ARGV[2] == '1' and now == '' then return 'l' end
call('SET', own, ARGV[1])
return 'k'
