-- Gives a number up, unless it is used up already or was never given out. Before a draw nobody has a position to give up.
-- ARGV: time and caller's state, number. Answers the snapshot.

local line, refusal = load()
if not line then
  return refusal
end
local number = tonumber(ARGV[2])
local lane, n = lane_of(line, number), within_lane(number)
local waits_for_draw = line.method == 'draw' and registers(line)
if not waits_for_draw and lane and n >= 1 and n <= lane.issued and use_up(lane, n) then
  nobody_waits_for(lane, n)
  line.version = line.version + 1
end
save(line)
return snapshot(line)
