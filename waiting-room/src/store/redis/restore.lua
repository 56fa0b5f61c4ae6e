-- Brings back a line that this server has lost or holds an older state of, from the youngest that a node has seen.
-- What is higher stays. Numbers skip ahead, past any that were given out in the moment that nobody here has seen, and
-- the meter begins with all that it can owe: places that were given ahead of time may begin yet. Every node that has seen
-- the line does it once. An opening that is due comes with the next operation: it must not make an older line look young.
-- ARGV: time and caller's state, the youngest snapshot (JSON), session_ms, the lanes of the settings (JSON). Answers the
-- snapshot.

local highest = cjson.decode(ARGV[2])
local line, unread = load_any()
if unread then
  return unread
end
local life = line and line.life or 0

local function sum_of(lanes, name)
  local total = 0
  for _, lane in ipairs(lanes) do
    total = total + lane[name]
  end
  return total
end

-- The lanes that were seen, in their order, because numbers tell lanes by it; then those of this line that were not, in
-- which nobody has a number.
local function merge_lanes()
  local mine = line.lanes
  line.lanes = {}
  for index, seen in ipairs(highest.lanes) do
    local at = index
    for other, lane in ipairs(mine) do
      at = lane.name == seen.name and other or at
    end
    local known = mine[at] and mine[at].name == seen.name and mine[at]
    local lane = add_lane(line, seen.name, seen.weight, known and known.weight_set or 0)
    if known and known.index == lane.index then
      known.weight = lane.weight
      line.lanes[index] = known
    end
  end
  for _, lane in ipairs(mine) do
    local is_new = #line.lanes < LANES_MAX
    for _, other in ipairs(line.lanes) do
      is_new = is_new and other.name ~= lane.name
    end
    if is_new then
      add_lane(line, lane.name, lane.weight, lane.weight_set)
    end
  end
end

-- What only grows.
local function merge()
  line.version = math.max(line.version, highest.version) + 1
  for index, seen in ipairs(highest.lanes) do
    local lane = line.lanes[index]
    if lane then
      lane.issued = math.max(lane.issued, seen.issued)
      lane.cursor = math.max(lane.cursor, seen.cursor)
      lane.drawn = math.max(lane.drawn, seen.drawn)
    end
  end
  line.total = math.max(line.total, highest.admitted)
  line.moves = math.max(line.moves, highest.moves or 0) + 1 -- One that no node has seen: each tells what was lost.
  local was_open = line.opens_at_ms > 0 and (highest.phase == 'running' or highest.phase == 'over')
  if was_open or sum_of(highest.lanes, 'drawn') > 0 then
    line.opened = 1
  end
end

local function take_settings()
  set(line, highest)
  if highest.burst == math.max(1, math.floor(line.rate / 60)) then
    line.burst = 0 -- It is the one that follows the rate.
  end
  line.ramp_over_ms = 0
  if highest.ramp ~= cjson.null then
    begin_ramp(line, highest.ramp)
  end
end

local function skip_numbers(lane, seen)
  local first = lane.issued + 1
  lane.issued = math.max(lane.issued, math.min(seen.issued + RESTORE_GAP, NUMBER_MAX))
  if lane.issued >= first then
    lane.gaps[#lane.gaps + 1] = { first, lane.issued }
  end
  lane.digest, lane.calls = seen.digest, {}
end

-- Who was inside is not known any more, only how many: they count for as long as a session lasts.
local function count_the_unknown()
  line.unknown = line.unknown + math.max(0, highest.active - active(line))
  line.unknown_until_ms = line.line_ms + line.session_ms
end

local function begin_life()
  take_settings()
  merge_lanes()
  merge()
  for index, seen in ipairs(highest.lanes) do
    skip_numbers(line.lanes[index], seen)
  end
  count_the_unknown()
  line.life = math.max(life, SEEN_LIFE) + 1
  line.units = -AHEAD_MS * line.rate
end

local is_foreign = line and line.epoch ~= highest.epoch
if not line or (is_foreign and sum_of(line.lanes, 'issued') <= sum_of(highest.lanes, 'issued')) then
  local lanes = line and line.lanes
  line = begin(highest.epoch, highest.version)
  line.session_ms = tonumber(ARGV[3])
  if lanes then
    line.lanes = {}
    for _, lane in ipairs(lanes) do
      add_lane(line, lane.name, lane.weight, lane.weight_set)
    end
  else
    follow(line, cjson.decode(ARGV[4]))
  end
  begin_life()
elseif is_foreign then
  -- Two lines began while they did not know of each other. The longer one stays.
elseif line.life < SEEN_LIFE or ((line.life == SEEN_LIFE or SEEN_LIFE == 0) and line.version < highest.version) then
  begin_life()
elseif SEEN_LIFE ~= 0 and line.life > SEEN_LIFE then
  -- Another node restored it; what only this one knows is added.
  merge()
end
save(line)
return snapshot(line)
