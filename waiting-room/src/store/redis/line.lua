-- The state of one line in Redis and the passing of its time; put before every operation. The rules are those of the
-- pure `Line`, whose constants stand in front of this text; a differential test compares every answer.
--
-- KEYS: line (hash), spent (bitmap), recent (two hashes that take turns), keen (two sets), seen (two bitmaps),
-- live (sorted set). ARGV[1] is `now late epoch version life`: the
-- time in epoch milliseconds (0 for the server's own; only tests send another), the time after which the caller waits no
-- more (0: unknown), and the youngest state of this line that the caller has seen (zeros: none). A line that is older than that is not touched: this server lost it, or was behind when
-- it took over, and `restore` comes first. Numbers stay below 2^53, where Lua counts exactly.

local STATE = {}
for number in string.gmatch(ARGV[1], '%-?%d+') do
  STATE[#STATE + 1] = tonumber(number)
end
local NOW, LATE, SEEN_EPOCH, SEEN_VERSION, SEEN_LIFE = unpack(STATE)

local LINE, SPENT, RECENT = KEYS[1], KEYS[2], { [0] = KEYS[3], [1] = KEYS[4] }
local KEEN, SEEN = { [0] = KEYS[5], [1] = KEYS[6] }, { [0] = KEYS[7], [1] = KEYS[8] }
local LIVE = KEYS[9]

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

-- How many people the budget of now and of the next milliseconds lets in. Units below zero are owed for places that were
-- given ahead of time.
local function people_within(line, ahead_ms)
  return math.floor(math.max(0, line.units + ahead_ms * line.rate) / UNITS_PER_PERSON)
end

local function wait_ms(line, people)
  return math.ceil(math.max(0, people * UNITS_PER_PERSON - line.units) / line.rate)
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

-- Called people who asked to go in a moment ago and found no budget.
local function keen(line)
  return line.keen0 + line.keen1
end

local function called_waiting(line)
  return expected(line) + keen(line)
end

local function keen_done(line, number)
  for half = 0, 1 do
    local count = 'keen' .. half
    if line[count] > 0 and redis.call('SREM', KEEN[half], int(number)) == 1 then
      line[count] = line[count] - 1
      return true
    end
  end
  return false
end

-- Whoever asked in vain is here.
local function ask_again(line, number)
  local was_keen = keen_done(line, number)
  local half = line.keen_window % 2
  redis.call('SADD', KEEN[half], int(number))
  line['keen' .. half] = line['keen' .. half] + 1
  if not was_keen then
    done(line, number)
  end
end

local function unsee(line, position, half)
  local count = 'seen' .. half
  if line[count] > 0 and redis.call('GETBIT', SEEN[half], int(position)) == 1 then
    redis.call('SETBIT', SEEN[half], int(position), 0)
    line[count] = line[count] - 1
  end
end

-- This number went in or left.
local function nobody_waits_for(line, number)
  if not keen_done(line, number) then
    done(line, number)
  end
  unsee(line, number, 0)
  unsee(line, number, 1)
end

-- Whether nodes report, and for long enough that who was not heard of is away.
local function is_known(line)
  return line.known_to > 0 and line.line_ms - line.reported_at <= PRESENCE_MS
end

-- Live sessions, by number; the score is when they end.
local function active()
  return redis.call('ZCARD', LIVE)
end

local function ends_at(number)
  return tonumber(redis.call('ZSCORE', LIVE, int(number)) or nil)
end

-- How many more may be inside at the same time.
local function room_inside(line)
  if line.max_active == 0 then
    return math.huge
  end
  return math.max(0, line.max_active - active())
end

-- Two keys take turns: one is emptied when its turn comes again. `counts` names the fields that count what is in them.
local function rotate(line, field, window_ms, keys, counts)
  local window = math.floor(line.line_ms / window_ms)
  for half = 0, 1 do
    if window > line[field] + 1 or (window > line[field] and half == window % 2) then
      redis.call('UNLINK', keys[half])
      if counts then
        line[counts .. half] = 0
      end
    end
  end
  line[field] = math.max(line[field], window)
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
  rotate(line, 'keen_window', KEEN_MS, KEEN, 'keen')
  rotate(line, 'seen_window', PRESENCE_MS, SEEN, 'seen')
  rotate(line, 'window', REPEAT_MS, RECENT)
  redis.call('ZREMRANGEBYSCORE', LIVE, '-inf', int(line.line_ms))
end

local NUMBERS =
  { 'epoch', 'version', 'wall_ms', 'line_ms', 'issued', 'cursor', 'rate', 'burst', 'session_ms', 'units', 'total', 'window',
  'life', 'keen_window', 'keen0', 'keen1', 'seen_window', 'seen0', 'seen1', 'reported_at', 'known_to', 'watch_to',
  'watch_at', 'max_active', 'renewal' }
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

-- These numbers go in, in this order, each as soon as the meter has come to it; when, by number. The caller has checked
-- the budget.
local function enter(line, numbers)
  local at = {}
  if #numbers == 0 then
    return at
  end
  local entered = {}
  for _, number in ipairs(numbers) do
    redis.call('SETBIT', SPENT, int(number), 1)
    nobody_waits_for(line, number)
    at[number] = line.line_ms + wait_ms(line, 1)
    line.units = line.units - UNITS_PER_PERSON
    entered[#entered + 1] = int(number)
    entered[#entered + 1] = int(at[number])
    redis.call('ZADD', LIVE, int(at[number] + line.session_ms), int(number))
  end
  redis.call('HSET', RECENT[line.window % 2], unpack(entered))
  line.total = line.total + #numbers
  local second, last = math.floor(line.line_ms / 1000), line.seconds[#line.seconds]
  if last and last[1] == second then
    last[2] = last[2] + #numbers
  else
    line.seconds[#line.seconds + 1] = { second, #numbers }
  end
  return at
end

-- Numbers and words, in the order that the node reads them.
local function snapshot(line)
  return {
    {
      line.version, line.epoch, line.issued, line.cursor, called_waiting(line), line.total, sum(line.seconds, 2), line.rate,
      burst_in_force(line), line.wall_ms, line.life, line.seen0 + line.seen1, active(), line.max_active,
      line.renewal,
    },
    { line.state, line.message },
  }
end

-- A line with nobody in it and nothing left of another one; what an operator sets is the caller's.
local function begin(epoch, version)
  local now = now_ms()
  redis.call('UNLINK', unpack(KEYS, 2))
  return {
    epoch = epoch, version = version, wall_ms = now, line_ms = now, issued = 0, cursor = 0, units = 0, calls = {},
    total = 0, seconds = {}, gaps = {}, window = math.floor(now / REPEAT_MS), life = 1,
    keen_window = math.floor(now / KEEN_MS), keen0 = 0, keen1 = 0,
    seen_window = math.floor(now / PRESENCE_MS), seen0 = 0, seen1 = 0,
    reported_at = 0, known_to = 0, watch_to = 0, watch_at = 0,
  }
end
