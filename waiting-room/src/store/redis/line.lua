-- The state of one line in Redis and the passing of its time; put before every operation. The rules are those of the
-- pure `Line`, whose constants stand in front of this text; a differential test compares every answer.
--
-- KEYS: line (hash), spent (bitmap), recent (two hashes that take turns). ARGV[1] is `now late epoch version life`: the
-- time in epoch milliseconds (0 for the server's own; only tests send another), the time after which the caller waits no
-- more (0: unknown), and the youngest state of this line that the caller has seen (zeros: none). A line that is older than that is not touched: this server lost it, or was behind when
-- it took over, and `restore` comes first. Numbers stay below 2^53, where Lua counts exactly.

local STATE = {}
for number in string.gmatch(ARGV[1], '%-?%d+') do
  STATE[#STATE + 1] = tonumber(number)
end
local NOW, LATE, SEEN_EPOCH, SEEN_VERSION, SEEN_LIFE = unpack(STATE)

local LINE, SPENT, RECENT = KEYS[1], KEYS[2], { [0] = KEYS[3], [1] = KEYS[4] }

local function int(number)
  return string.format('%.0f', number)
end

local function now_ms()
  if NOW ~= 0 then
    return NOW
  end
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

local function unpack_rows(text, pattern)
  local rows = {}
  for a, b, c, d in string.gmatch(text, pattern) do
    rows[#rows + 1] = { tonumber(a), tonumber(b), tonumber(c), tonumber(d) }
  end
  return rows
end

local function pack_rows(rows)
  local words = {}
  for index, row in ipairs(rows) do
    local numbers = {}
    for column, number in ipairs(row) do
      numbers[column] = int(number)
    end
    words[index] = table.concat(numbers, ':')
  end
  return table.concat(words, ';')
end

local function sum(rows, column)
  local total = 0
  for _, row in ipairs(rows) do
    total = total + row[column]
  end
  return total
end

local function burst_in_force(line)
  if line.burst == 0 then
    return math.max(1, math.floor(line.rate / 60))
  end
  return line.burst
end

local function limit_budget(line)
  line.units = math.min(line.units, burst_in_force(line) * UNITS_PER_PERSON)
end

local function people(line)
  return math.floor(line.units / UNITS_PER_PERSON)
end

-- Calls are rows {slot, first, last, expected}; seconds are rows {second, people}; oldest first.
local function expected(line)
  return sum(line.calls, 4)
end

local function done(line, number)
  for _, call in ipairs(line.calls) do
    if call[2] <= number and number <= call[3] then
      call[4] = math.max(0, call[4] - 1)
      return
    end
  end
end

local function rotate_recent(line)
  local window = math.floor(line.line_ms / REPEAT_MS)
  if window > line.window + 1 then
    redis.call('UNLINK', RECENT[0], RECENT[1])
  elseif window > line.window then
    redis.call('UNLINK', RECENT[window % 2])
  end
  line.window = math.max(line.window, window)
end

-- Whether people are called and go in.
local function is_running(line)
  return line.state == 'open' or line.state == 'draining'
end

local function pass_time(line, elapsed_ms)
  if is_running(line) then
    line.units = line.units + elapsed_ms * line.rate
  end
  limit_budget(line)
  while line.calls[1] and line.calls[1][1] * CALL_SLOT_MS + EXPECTED_MS <= line.line_ms do
    table.remove(line.calls, 1)
  end
  while line.seconds[1] and line.seconds[1][1] + SECONDS <= math.floor(line.line_ms / 1000) do
    table.remove(line.seconds, 1)
  end
  rotate_recent(line)
end

local NUMBERS =
  { 'epoch', 'version', 'wall_ms', 'line_ms', 'issued', 'cursor', 'rate', 'burst', 'session_ms', 'units', 'total', 'window',
  'life' }
local TEXTS = { 'state', 'message', 'calls', 'seconds', 'gaps' }

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
  local line = { state = texts[1], message = texts[2] }
  line.calls = unpack_rows(texts[3], '(%d+):(%d+):(%d+):(%d+)')
  line.seconds = unpack_rows(texts[4], '(%d+):(%d+)')
  line.gaps = unpack_rows(texts[5], '(%d+):(%d+)')
  for index, value in ipairs(redis.call('HMGET', LINE, unpack(NUMBERS))) do
    line[NUMBERS[index]] = tonumber(value)
  end
  local now = now_ms()
  local elapsed_ms = math.max(0, math.min(now - line.wall_ms, STEP_MS_MAX))
  line.wall_ms = now
  line.line_ms = line.line_ms + elapsed_ms
  pass_time(line, elapsed_ms)
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
  return line
end

local function save(line)
  local fields = { 'state', line.state, 'message', line.message }
  fields[#fields + 1] = 'calls'
  fields[#fields + 1] = pack_rows(line.calls)
  fields[#fields + 1] = 'seconds'
  fields[#fields + 1] = pack_rows(line.seconds)
  fields[#fields + 1] = 'gaps'
  fields[#fields + 1] = pack_rows(line.gaps)
  for _, name in ipairs(NUMBERS) do
    fields[#fields + 1] = name
    fields[#fields + 1] = int(line[name])
  end
  redis.call('HSET', LINE, unpack(fields))
end

-- These numbers go in now. The caller has checked the budget.
local function enter(line, numbers)
  if #numbers == 0 then
    return
  end
  local entered = {}
  for _, number in ipairs(numbers) do
    redis.call('SETBIT', SPENT, int(number), 1)
    entered[#entered + 1] = int(number)
    entered[#entered + 1] = int(line.line_ms)
  end
  redis.call('HSET', RECENT[line.window % 2], unpack(entered))
  line.units = math.max(0, line.units - #numbers * UNITS_PER_PERSON)
  line.total = line.total + #numbers
  local second, last = math.floor(line.line_ms / 1000), line.seconds[#line.seconds]
  if last and last[1] == second then
    last[2] = last[2] + #numbers
  else
    line.seconds[#line.seconds + 1] = { second, #numbers }
  end
end

-- Numbers and words, in the order that the node reads them.
local function snapshot(line)
  return {
    {
      line.version, line.epoch, line.issued, line.cursor, expected(line), line.total, sum(line.seconds, 2), line.rate,
      burst_in_force(line), line.wall_ms, line.life,
    },
    { line.state, line.message },
  }
end

local function begin(epoch, version)
  local now = now_ms()
  return {
    epoch = epoch, version = version, wall_ms = now, line_ms = now, issued = 0, cursor = 0, units = 0, calls = {},
    total = 0, seconds = {}, gaps = {}, window = math.floor(now / REPEAT_MS), life = 1,
  }
end
