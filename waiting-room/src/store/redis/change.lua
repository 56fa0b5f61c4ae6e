-- Changes what an operator may change, and keeps who changed what.
-- ARGV: time and caller's state, the change (JSON; what is left out stays as it is), who asks for it (JSON). Answers the
-- snapshot.

-- How the autopilot is named, and what was before its latest change, if nobody changed anything after it.
local AUTOPILOT = '"autopilot"'
local BY_AUTOPILOT = '^{"at_ms":%d+,"who":' .. AUTOPILOT .. ',"before":(.-),"after":'

local line, refusal = load()
if not line then
  return refusal
end
local change = cjson.decode(ARGV[2])

-- What the changed values are now, as JSON. Numbers are written here: the encoder would round them to 14 digits.
local function values_before()
  local values = {}
  local function keep(name, text)
    values[#values + 1] = '"' .. name .. '":' .. text
  end
  if (change.rate_per_minute or change.ramp) and line.ramp_over_ms > 0 then
    keep('ramp', '{"to_per_minute":' .. int(line.ramp_to) .. ',"over_ms":' .. int(ramp_left_ms(line)) .. '}')
  elseif change.rate_per_minute or change.ramp then
    keep('rate_per_minute', int(line.rate))
  end
  for _, name in ipairs(SETTINGS) do
    local value = line[name]
    if change[name] ~= nil then
      keep(name, type(value) == 'number' and int(value) or cjson.encode(value))
    end
  end
  if change.session_renewal ~= nil then
    keep('session_renewal', line.renewal == 1 and 'true' or 'false')
  end
  if change.lane_weights ~= nil then
    local weights = {}
    for _, lane in ipairs(line.lanes) do
      if change.lane_weights[lane.name] then
        weights[#weights + 1] = '"' .. lane.name .. '":' .. int(lane.weight)
      end
    end
    keep('lane_weights', '{' .. table.concat(weights, ',') .. '}')
  end
  return '{' .. table.concat(values, ',') .. '}'
end

-- The names of all lanes, if the change names another one.
local function unknown_lane()
  local names, left = {}, {}
  for name in pairs(change.lane_weights or {}) do
    left[name] = true
  end
  for index, lane in ipairs(line.lanes) do
    names[index], left[lane.name] = lane.name, nil
  end
  return next(left) and table.concat(names, ', ')
end
local lanes = unknown_lane()
if lanes then
  return refuse(line, 'NOSUCHLANE ' .. lanes)
end

if next(change) ~= nil then
  local function kept_with(before)
    return '{"at_ms":' .. int(line.wall_ms) .. ',"who":' .. ARGV[3] .. ',"before":' .. before .. ',"after":' .. ARGV[2] .. '}'
  end
  -- The autopilot's steps in a row are one change, or they would drive the operators' out.
  local before = ARGV[3] == AUTOPILOT and string.match(redis.call('LINDEX', CHANGES, -1) or '', BY_AUTOPILOT)
  if before then
    redis.call('LSET', CHANGES, -1, kept_with(before))
  else
    redis.call('RPUSH', CHANGES, kept_with(values_before()))
    redis.call('LTRIM', CHANGES, -CHANGES_MAX, -1)
  end
  local rate_before = line.rate
  set(line, change)
  for _, lane in ipairs(line.lanes) do
    lane.weight = (change.lane_weights or {})[lane.name] or lane.weight
  end
  if change.rate_per_minute then
    line.ramp_over_ms = 0
  end
  if change.ramp then
    begin_ramp(line, change.ramp)
  end
  if admits(line) and line.rate > rate_before * STEEP then
    line.raised_until_ms = line.line_ms + RAISED_MS
  end
  reprice(line, rate_before)
  limit_budget(line)
  line.version = line.version + 1
end
save(line)
return snapshot(line)
