-- The holders of these positions were heard of. Nodes report, once a second, on everybody near the front.
-- ARGV: time and caller's state, position... Answers the snapshot.

local line, refusal = load()
if not line then
  return refusal
end

-- Nodes report on all lanes at once.
local function report(lane)
  local near = math.min(lane.issued, lane.cursor + math.max(line.rate, NEAR_MIN))
  if lane.reported_at == 0 or line.line_ms - lane.reported_at > PRESENCE_MS then
    lane.known_to, lane.watch_to, lane.watch_at = 0, near, line.line_ms
  elseif line.line_ms - lane.watch_at >= PRESENCE_MS then
    lane.known_to, lane.watch_to, lane.watch_at = lane.watch_to, near, line.line_ms
  end
  lane.known_to, lane.watch_to = math.min(lane.known_to, near), math.min(lane.watch_to, near)
  lane.reported_at = line.line_ms
end

for _, lane in ipairs(line.lanes) do
  report(lane)
end
for index = 2, #ARGV do
  local position = tonumber(ARGV[index])
  local lane, n = lane_of(line, position), within_lane(position)
  if lane and holds(lane, n) then
    see(line, lane, n)
  end
end
save(line)
return snapshot(line)
