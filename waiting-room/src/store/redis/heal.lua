-- Numbers that verified tickets prove. The line goes on above them; one that has just begun goes on as the older one of the
-- tickets, if that was no shorter.
-- ARGV: time and caller's state, epoch, number... Answers the snapshot.

local line, refusal = load()
if not line then
  return refusal
end
local epoch, news, proved = tonumber(ARGV[2]), {}, 0

local function is_skipped(lane, n)
  for _, gap in ipairs(lane.gaps) do
    if n > lane.cursor and gap[1] <= n and n <= gap[2] then
      return true
    end
  end
  return false
end

for index = 3, #ARGV do
  local number = tonumber(ARGV[index])
  local lane, n = lane_of(line, number), within_lane(number)
  local known = lane and epoch == line.epoch and n <= lane.issued and not is_skipped(lane, n)
  if lane and not known and n > 0 and n <= NUMBER_MAX - HEAL_GAP then
    news[#news + 1], proved = number, proved + n
  end
end

local function gives_way()
  local age_ms = line.wall_ms - line.epoch
  local issued = over_lanes(line, function(lane)
    return lane.issued
  end)
  return epoch < line.epoch and age_ms >= 0 and age_ms < HEAL_MS and line.method ~= 'draw' and issued <= proved
end

-- With nothing of the line that there was but what operators set, and the lanes.
local function go_on_as_older()
  local begun = line
  line = begin(epoch, begun.version)
  for _, name in ipairs(SETTINGS) do
    line[name] = begun[name]
  end
  for _, name in ipairs({ 'life', 'rate', 'renewal', 'session_ms', 'opened' }) do
    line[name] = begun[name]
  end
  if burst_in_force(begun) == math.max(1, math.floor(begun.rate / 60)) then
    line.burst = 0 -- It is the one that follows the rate.
  end
  if begun.ramp_over_ms > 0 then
    begin_ramp(line, { to_per_minute = begun.ramp_to, over_ms = ramp_left_ms(begun) })
  end
  line.lanes = {}
  for _, lane in ipairs(begun.lanes) do
    add_lane(line, lane.name, lane.weight, lane.weight_set)
  end
  line.unknown_until_ms = line.line_ms + line.session_ms
  line.units = -AHEAD_MS * line.rate
  line.gather_until_ms = line.line_ms + GATHER_MS
end

local function prove(lane, n)
  if n > lane.issued then
    lane.issued = math.min(n + HEAL_GAP, NUMBER_MAX)
    lane.gaps = { { n + 1, lane.issued } }
  elseif is_skipped(lane, n) then
    local rest = {}
    for _, gap in ipairs(lane.gaps) do
      local first = math.max(gap[1], n + 1)
      if first <= gap[2] then
        rest[#rest + 1] = { first, gap[2] }
      end
    end
    lane.gaps = rest
  end
end

if #news > 0 and (epoch == line.epoch or gives_way()) then
  if epoch ~= line.epoch then
    go_on_as_older()
  end
  for _, number in ipairs(news) do
    prove(lane_of(line, number), within_lane(number))
  end
  line.version = line.version + 1
end
save(line)
return snapshot(line)
