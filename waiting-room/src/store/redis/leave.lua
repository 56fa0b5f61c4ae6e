-- Gives a number up, unless it is used up already or was never given out. Before a draw nobody has a position to give up.
-- ARGV: time and caller's state, number. Answers the snapshot.

local line, refusal = load()
if not line then
  return refusal
end
local number = tonumber(ARGV[2])
local waits_for_draw = line.method == 'draw' and registers(line)
if not waits_for_draw and number >= 1 and number <= line.issued and use_up(number) then
  nobody_waits_for(line, number)
  line.version = line.version + 1
end
save(line)
return snapshot(line)
