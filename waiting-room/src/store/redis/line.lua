-- The state of one line: read and brought up to now, written, answered with.

local NUMBERS = {
  'epoch', 'version', 'life', 'wall_ms', 'line_ms', 'day_ms', 'steady_at_ms',
  'issued', 'cursor', 'total', 'units', 'window', 'session_ms',
  'rate', 'burst', 'max_active', 'queue_max', 'renewal',
  'prequeue_at_ms', 'opens_at_ms', 'closes_at_ms', 'opened', 'drawn',
  'ramp_from', 'ramp_to', 'ramp_begin_ms', 'ramp_over_ms',
  'keen_window', 'keen0', 'keen1', 'seen_window', 'seen0', 'seen1', 'reported_at', 'known_to', 'watch_to', 'watch_at',
  'unknown', 'unknown_until_ms', 'moves',
}
local TEXTS = { 'state', 'message', 'method', 'digest', 'calls', 'seconds', 'gaps' }

-- What an operator sets, besides the rate and whether sessions go on, under the names that it has in JSON.
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

-- The line brought up to now, or nil if there is none; however old it is.
local function load_any()
  local texts = redis.call('HMGET', LINE, unpack(TEXTS))
  if not texts[1] then
    return nil
  end
  -- What an older Vestibule did not know of is as it began.
  local line = { state = texts[1], message = texts[2], method = texts[3] or 'fcfs', digest = texts[4] or '' }
  line.calls = unpack_rows(texts[5], '(%d+):(%d+):(%d+):(%d+)')
  line.seconds = unpack_rows(texts[6], '(%d+):(%d+)')
  line.gaps = unpack_rows(texts[7], '(%d+):(%d+)')
  for index, value in ipairs(redis.call('HMGET', LINE, unpack(NUMBERS))) do
    line[NUMBERS[index]] = tonumber(value) or 0
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
    return nil, redis.error_reply('LATE this server stood still, and the caller has given up')
  end
  local line = load_any()
  if not line then
    return nil, redis.error_reply('NOROOM the room was never begun, or is lost')
  end
  if is_behind(line) then
    return nil, redis.error_reply('BEHIND this server holds an older state of the room')
  end
  open_when_due(line)
  return line
end

local function save(line)
  local fields = { 'state', line.state, 'message', line.message, 'method', line.method, 'digest', line.digest }
  for _, name in ipairs({ 'calls', 'seconds', 'gaps' }) do
    fields[#fields + 1] = name
    fields[#fields + 1] = pack_rows(line[name])
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

-- Numbers and words, in the order that the node reads them.
local function snapshot(line)
  local ramps = line.ramp_over_ms > 0
  return {
    {
      line.version, line.epoch, line.issued, line.cursor, called_waiting(line), line.total, sum(line.seconds, 2), line.rate,
      burst_in_force(line), line.wall_ms, line.life, line.seen0 + line.seen1, active(line), line.max_active, line.renewal,
      line.queue_max, line.prequeue_at_ms, line.opens_at_ms, line.closes_at_ms, line.drawn,
      ramps and line.ramp_to or 0, ramps and ramp_left_ms(line) or 0, line.moves,
    },
    { line.state, line.message, line.method, phase(line), line.digest },
  }
end

-- A line with nobody in it and nothing left of another one but what operators changed; what they set is the caller's.
local function begin(epoch, version)
  local line = { state = 'open', message = '', method = 'fcfs', digest = '', calls = {}, seconds = {}, gaps = {} }
  for _, name in ipairs(NUMBERS) do
    line[name] = 0
  end
  local now = now_ms()
  line.epoch, line.version, line.life = epoch, version, 1
  line.wall_ms, line.line_ms, line.day_ms, line.steady_at_ms = now, now, now, now
  line.window, line.keen_window = math.floor(now / REPEAT_MS), math.floor(now / KEEN_MS)
  line.seen_window = math.floor(now / PRESENCE_MS)
  redis.call('UNLINK', MOVED, unpack(KEYS, 2, 9))
  return line
end

