-- Brings back a line that this server has lost or holds an older state of, from the youngest that a node has seen.
-- What is higher stays. Numbers skip ahead, past any that were given out in the moment that nobody here has seen, and
-- the meter begins with all that it can owe: places that were given ahead of time may begin yet. Every node that has seen
-- the line does it once. An opening that is due comes with the next operation: it must not make an older line look young.
-- ARGV: time and caller's state, the youngest snapshot (JSON), session_ms. Answers the snapshot.

local highest = cjson.decode(ARGV[2])
local line = load_any()
local life = line and line.life or 0

-- What only grows.
local function merge()
  line.version = math.max(line.version, highest.version) + 1
  line.issued = math.max(line.issued, highest.issued)
  line.cursor = math.max(line.cursor, highest.cursor)
  line.total = math.max(line.total, highest.admitted)
  line.drawn = math.max(line.drawn, highest.drawn)
  line.moves = math.max(line.moves, highest.moves or 0) + 1 -- One that no node has seen: each tells what was lost.
  local was_open = line.opens_at_ms > 0 and (highest.phase == 'running' or highest.phase == 'over')
  if was_open or highest.drawn > 0 then
    line.opened = 1
  end
end

local function take_settings()
  set(line, highest)
  if highest.burst == math.max(1, math.floor(line.rate / 60)) then
    line.burst = 0 -- It is the one that follows the rate.
  end
  line.digest, line.ramp_over_ms = highest.digest, 0
  if highest.ramp ~= cjson.null then
    begin_ramp(line, highest.ramp)
  end
end

local function skip_numbers()
  local first = line.issued + 1
  line.issued = math.max(line.issued, math.min(highest.issued + RESTORE_GAP, NUMBER_MAX))
  if line.issued >= first then
    line.gaps[#line.gaps + 1] = { first, line.issued }
  end
end

-- Who was inside is not known any more, only how many: they count for as long as a session lasts.
local function count_the_unknown()
  local missing = highest.active - active(line)
  if missing > 0 then
    line.unknown, line.unknown_until_ms = line.unknown + missing, line.line_ms + line.session_ms
  end
end

local function begin_life()
  take_settings()
  merge()
  skip_numbers()
  count_the_unknown()
  line.life = math.max(life, SEEN_LIFE) + 1
  line.units, line.calls = -AHEAD_MS * line.rate, {}
end

local is_foreign = line and line.epoch ~= highest.epoch
if not line or (is_foreign and line.issued <= highest.issued) then
  line = begin(highest.epoch, highest.version)
  line.session_ms = tonumber(ARGV[3])
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
