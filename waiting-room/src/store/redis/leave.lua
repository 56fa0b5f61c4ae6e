-- Gives a number up, unless it is used up already or was never given out.
-- ARGV: now, number. Answers the snapshot.

local line = load()
if not line then
  return no_room()
end
local number = tonumber(ARGV[2])
if number >= 1 and number <= line.issued and redis.call('SETBIT', SPENT, int(number), 1) == 0 then
  done(line, number)
  line.version = line.version + 1
end
save(line)
return snapshot(line)
