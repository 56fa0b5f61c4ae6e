-- Gives a number up, unless it is used up already or was never given out.
-- ARGV: time and caller's state, number. Answers the snapshot.

local line, refusal = load()
if not line then
  return refusal
end
local number = tonumber(ARGV[2])
if number >= 1 and number <= line.issued and redis.call('SETBIT', SPENT, int(number), 1) == 0 then
  nobody_waits_for(line, number)
  line.version = line.version + 1
end
save(line)
return snapshot(line)
