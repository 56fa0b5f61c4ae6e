-- Brings back a line that this server has lost or holds an older state of, from the youngest that a node has seen.
-- What is higher stays. Numbers skip ahead, past any that were given out in the moment that nobody here has seen, and
-- the meter begins with all that it can owe: places that were given ahead of time may begin yet. Every node that has seen
-- the line does it once.
-- ARGV: time and caller's state, issued, cursor, admitted, rate, burst, session_ms, state, message, max_active, renewal,
-- active. Answers the snapshot.

-- Bounds the time that this takes.
local UNKNOWN_MAX = 100000

local issued, cursor, total = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local line = load_any()
local is_new = not line
local is_foreign = line and line.epoch ~= SEEN_EPOCH

-- The meter, the calls and everything that is for one life only.
local function begin_life(life)
  line.life = life
  line.units, line.calls = -AHEAD_MS * line.rate, {}
end

local function take_settings()
  line.rate, line.burst, line.state, line.message = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[8], ARGV[9]
  line.max_active, line.renewal = tonumber(ARGV[10]), tonumber(ARGV[11])
end

-- Who was inside is not known any more, only how many: a cap counts them for as long as a session lasts.
local function count_the_unknown()
  if line.max_active > 0 then
    for index = 1, math.min(tonumber(ARGV[12]), UNKNOWN_MAX) do
      redis.call('ZADD', LIVE, int(line.line_ms + line.session_ms), 'unknown ' .. int(index))
    end
  end
end

local function skip_numbers()
  local first = line.issued + 1
  line.issued = math.min(NUMBER_MAX, line.issued + GAP)
  if line.cursor == first - 1 then
    line.cursor = line.issued
  elseif line.issued >= first then
    line.gaps[#line.gaps + 1] = { first, line.issued }
  end
end

local function merge()
  line.version = math.max(line.version, SEEN_VERSION) + 1
  line.issued = math.max(line.issued, issued)
  line.cursor = math.max(line.cursor, cursor)
  line.total = math.max(line.total, total)
end

if is_foreign and line.issued > issued then
  -- Two lines began while they did not know of each other. The longer one stays.
  return snapshot(line)
end
if is_new or is_foreign then
  local life = line and line.life or 0
  line = begin(SEEN_EPOCH, SEEN_VERSION)
  line.session_ms = tonumber(ARGV[7])
  take_settings()
  count_the_unknown()
  merge()
  skip_numbers()
  begin_life(math.max(life, SEEN_LIFE) + 1)
elseif line.life < SEEN_LIFE or ((line.life == SEEN_LIFE or SEEN_LIFE == 0) and line.version < SEEN_VERSION) then
  take_settings()
  merge()
  skip_numbers()
  begin_life(math.max(line.life, SEEN_LIFE) + 1)
elseif line.life > SEEN_LIFE then
  -- Another node restored it; what only this one knows is added.
  merge()
end
save(line)
return snapshot(line)
