-- The state of one line: read and brought up to now, written, answered with.

local NUMBERS = {
  'epoch', 'version', 'life', 'wall_ms', 'line_ms', 'day_ms', 'steady_at_ms', 'total', 'units', 'window', 'session_ms',
  'rate', 'burst', 'max_active', 'queue_max', 'renewal', 'prequeue_at_ms', 'opens_at_ms', 'closes_at_ms', 'opened',
  'ramp_from', 'ramp_to', 'ramp_begin_ms', 'ramp_over_ms', 'keen_window', 'seen_window', 'unknown', 'unknown_until_ms',
  'held_since_ms', 'moves', 'raised_until_ms', 'gather_until_ms',
  'proof_window', 'late_window',
}
local TEXTS = { 'state', 'message', 'method', 'seconds', 'lanes' }

-- What a lane has. The first lane's fields are named so, those of the others end with their index.
local LANE_NUMBERS = {
  'weight', 'weight_set', 'issued', 'cursor', 'drawn', 'keen0', 'keen1', 'seen0', 'seen1', 'reported_at', 'known_to',
  'watch_to', 'watch_at', 'credit', 'asked_at',
}
local LANE_TEXTS = { 'digest', 'calls', 'gaps' }

-- What an operator sets, besides the rate, the weights and whether sessions go on, under the names that it has in JSON.
local SETTINGS =
  { 'burst', 'max_active', 'queue_max', 'prequeue_at_ms', 'opens_at_ms', 'closes_at_ms', 'state', 'message', 'method' }

-- Takes over the settings that are given; a time that is null is none.
local function set(line, values)
  line.rate = values.rate_per_minute or line.rate
  for _, name in ipairs(SETTINGS) do
    if values[name] == cjson.null then
      line[name] = 0
    elseif values[name] ~= nil then
      line[name] = values[name]
    end
  end
  if values.session_renewal ~= nil then
    line.renewal = values.session_renewal and 1 or 0
  end
end

-- A line's life begins anew when it is restored; each node tells what it knows once in each.
local function is_behind(line)
  return SEEN_EPOCH ~= 0
    and (line.epoch ~= SEEN_EPOCH or line.life ~= SEEN_LIFE or line.version < SEEN_VERSION)
end

local function field(name, lane)
  return lane.index == 0 and name or name .. ':' .. int(lane.index)
end

-- A lane with nobody in it, behind those that there are.
local function add_lane(line, name, weight, weight_set)
  local lane = { index = #line.lanes, name = name, digest = '', calls = {}, gaps = {} }
  local key = KEYS_SHARED + lane.index * KEYS_A_LANE
  lane.SPENT = KEYS[key + 1]
  lane.KEEN, lane.SEEN = { [0] = KEYS[key + 2], [1] = KEYS[key + 3] }, { [0] = KEYS[key + 4], [1] = KEYS[key + 5] }
  for _, number in ipairs(LANE_NUMBERS) do
    lane[number] = 0
  end
  lane.weight, lane.weight_set = weight, weight_set
  line.lanes[#line.lanes + 1] = lane
  return lane
end

local function load_lanes(line, names)
  line.lanes = {}
  for name in string.gmatch(names, '[^,]+') do
    add_lane(line, name, 1, 1)
  end
  local fields = {}
  for _, lane in ipairs(line.lanes) do
    for _, name in ipairs(LANE_NUMBERS) do
      fields[#fields + 1] = field(name, lane)
    end
    for _, name in ipairs(LANE_TEXTS) do
      fields[#fields + 1] = field(name, lane)
    end
  end
  local values, at = redis.call('HMGET', LINE, unpack(fields)), 0
  for _, lane in ipairs(line.lanes) do
    for index, name in ipairs(LANE_NUMBERS) do
      lane[name] = tonumber(values[at + index]) or lane[name]
    end
    at = at + #LANE_NUMBERS
    lane.digest = values[at + 1] or ''
    lane.calls = unpack_rows(values[at + 2] or '', '(%d+):(%d+):(%d+):(%d+)')
    lane.gaps = unpack_rows(values[at + 3] or '', '(%d+):(%d+)')
    at = at + #LANE_TEXTS
  end
end

-- The line brought up to now, or nil if there is none; however old it is.
local function load_any()
  local texts = redis.call('HMGET', LINE, unpack(TEXTS))
  if not texts[1] then
    return nil
  end
  -- What an older Vestibule did not know of is as it began.
  local line = { state = texts[1], message = texts[2], method = texts[3] or 'fcfs' }
  line.seconds = unpack_rows(texts[4], '(%d+):(%d+)')
  for index, value in ipairs(redis.call('HMGET', LINE, unpack(NUMBERS))) do
    line[NUMBERS[index]] = tonumber(value) or 0
  end
  load_lanes(line, texts[5] or 'general')
  if #line.lanes > LANES_KNOWN then
    return nil, redis.error_reply('LANES ' .. int(#line.lanes))
  end
  local elapsed_ms = step_clock(line)
  local rate_before = line.rate
  move_rate(line)
  -- On a ramp the lower end of the step: the budget never runs ahead of the rate.
  fill(line, elapsed_ms, math.min(rate_before, line.rate))
  reprice(line, rate_before)
  forget(line)
  return line
end

-- The line brought up to now, or the refusal that the script answers with.
local function load()
  if LATE > 0 and now_ms() > LATE then
    return nil, redis.error_reply('LATE this server stood still, and the caller has given up'), true
  end
  local line, refusal = load_any()
  if not line then
    return nil, refusal or redis.error_reply('NOROOM the room was never begun, or is lost'), refusal
  end
  if is_behind(line) then
    return nil, redis.error_reply('BEHIND this server holds an older state of the room'), true
  end
  open_when_due(line)
  return line
end

local function save(line)
  local names = {}
  for index, lane in ipairs(line.lanes) do
    names[index] = lane.name
  end
  local fields = {
    'state', line.state, 'message', line.message, 'method', line.method, 'seconds', pack_rows(line.seconds),
    'lanes', table.concat(names, ','),
  }
  for _, lane in ipairs(line.lanes) do
    local values = { field('digest', lane), lane.digest, field('calls', lane), pack_rows(lane.calls), field('gaps', lane), pack_rows(lane.gaps) }
    for _, name in ipairs(LANE_NUMBERS) do
      values[#values + 1] = field(name, lane)
      values[#values + 1] = int(lane[name])
    end
    for _, value in ipairs(values) do
      fields[#fields + 1] = value
    end
  end
  for _, name in ipairs(NUMBERS) do
    fields[#fields + 1] = name
    fields[#fields + 1] = int(line[name])
  end
  redis.call('HSET', LINE, unpack(fields))
end

-- Nothing is done, but time has passed.
local function refuse(line, words)
  save(line)
  return redis.error_reply(words)
end

-- The gaps of a lane that are not passed yet.
local function skipped(lane)
  local rows = {}
  for _, gap in ipairs(lane.gaps) do
    if gap[2] > lane.cursor then
      rows[#rows + 1] = { gap[1], gap[2] }
    end
  end
  return rows
end

-- Numbers, words and a row for each lane, in the order that the node reads them.
local function snapshot(line)
  local ramps, lanes = line.ramp_over_ms > 0, {}
  for index, lane in ipairs(line.lanes) do
    lanes[index] = {
      lane.name, lane.digest, lane.weight, lane.issued, lane.cursor, called_waiting(lane), lane.seen0 + lane.seen1, lane.drawn,
      skipped(lane),
    }
  end
  return {
    {
      line.version, line.epoch, line.total, sum(line.seconds, 2), line.rate, burst_in_force(line), line.wall_ms, line.life,
      active(line), line.max_active, line.renewal, line.queue_max, line.prequeue_at_ms, line.opens_at_ms, line.closes_at_ms,
      ramps and line.ramp_to or 0, ramps and ramp_left_ms(line) or 0, line.moves,
    },
    { line.state, line.message, line.method, phase(line) },
    lanes,
  }
end

-- Takes over the lanes of the settings: new ones come last, and weights follow where the settings changed them. Whether
-- anything changed.
local function follow(line, lanes)
  local changed = false
  for _, wanted in ipairs(lanes) do
    local known
    for _, lane in ipairs(line.lanes) do
      known = known or (lane.name == wanted.name and lane)
    end
    if known and known.weight_set ~= wanted.weight then
      known.weight, known.weight_set, changed = wanted.weight, wanted.weight, true
    elseif not known and #line.lanes < LANES_MAX then
      add_lane(line, wanted.name, wanted.weight, wanted.weight)
      changed = true
    end
  end
  return changed
end

-- A line with nobody in it and nothing left of another one but what operators changed; what they set is the caller's, and
-- so are the lanes besides the first.
local function begin(epoch, version)
  local line = { state = 'open', message = '', method = 'fcfs', seconds = {}, lanes = {} }
  for _, name in ipairs(NUMBERS) do
    line[name] = 0
  end
  local now = now_ms()
  line.epoch, line.version, line.life = epoch, version, 1
  line.wall_ms, line.line_ms, line.day_ms, line.steady_at_ms = now, now, now, now
  line.window, line.keen_window = math.floor(now / REPEAT_MS), math.floor(now / KEEN_MS)
  line.seen_window, line.proof_window = math.floor(now / PRESENCE_MS), math.floor(now / PROOF_WINDOW_MS)
  line.late_window = math.floor(now / LATE_WINDOW_MS)
  for _, key in ipairs(KEYS) do
    if key ~= LINE and key ~= CHANGES then
      redis.call('UNLINK', key)
    end
  end
  add_lane(line, 'general', 1, 1)
  return line
end

