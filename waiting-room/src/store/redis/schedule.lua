-- What time alone changes: the line's clock, the phases of a room, the opening with its draw, and a rate that moves.
-- Times of 0 are none, and so is a ramp over 0 milliseconds.

-- The line's time follows the wall clock's steps but never its jumps; after one, the schedule goes by the line's time
-- until the wall clock has been steady for a while. Answers how much time has passed.
local function step_clock(line)
  local now = now_ms()
  local read_ms = now - line.wall_ms
  local elapsed_ms = (read_ms >= 0 and read_ms <= STEP_MS_MAX) and read_ms or 0
  line.wall_ms = now
  line.line_ms = line.line_ms + elapsed_ms
  if read_ms ~= elapsed_ms then
    line.steady_at_ms = line.line_ms + STEADY_MS
  end
  line.day_ms = line.line_ms >= line.steady_at_ms and now or line.day_ms + elapsed_ms
  return elapsed_ms
end

local function phase(line)
  if line.closes_at_ms > 0 and line.day_ms >= line.closes_at_ms then
    return 'over'
  elseif line.day_ms < line.prequeue_at_ms then
    return 'early'
  elseif line.day_ms < line.opens_at_ms then
    return 'prequeue'
  end
  return 'running'
end

-- Whether people join now.
local function takes(line)
  local now = phase(line)
  return (line.state == 'open' or line.state == 'paused') and (now == 'prequeue' or now == 'running')
end

-- Whether people are called and go in now.
local function admits(line)
  return is_running(line) and phase(line) == 'running' and line.line_ms >= line.gather_until_ms
end

-- Whether those who join take part in the opening.
local function registers(line)
  return line.opens_at_ms > 0 and line.opened == 0
end

-- Adds a group to the digest of a lane's registrations; the nonce is 16 hexadecimal digits.
local function register(lane, count, nonce)
  lane.digest = redis.sha1hex(lane.digest .. ':' .. int(count) .. ':' .. nonce)
end

-- The opening, once its time has come. A draw gives positions anew, so what was known of one tells nothing about who has
-- it now.
local function open_when_due(line)
  local now = phase(line)
  if registers(line) and (now == 'running' or now == 'over') then
    line.opened = 1
    for _, lane in ipairs(line.lanes) do
      lane.drawn = line.method == 'draw' and lane.cursor == 0 and lane.issued or 0
      if lane.drawn > 0 then
        lane.gaps = {}
        redis.call('UNLINK', lane.SPENT, lane.SEEN[0], lane.SEEN[1])
        lane.seen0, lane.seen1, lane.reported_at = 0, 0, 0
        lane.known_to, lane.watch_to, lane.watch_at = 0, 0, 0
      end
    end
    line.version = line.version + 1
  end
end

local function begin_ramp(line, ramp)
  line.ramp_from, line.ramp_to = line.rate, ramp.to_per_minute
  line.ramp_begin_ms, line.ramp_over_ms = line.line_ms, ramp.over_ms
end

local function move_rate(line)
  if line.ramp_over_ms == 0 then
    return
  end
  local done_ms = math.max(0, math.min(line.line_ms - line.ramp_begin_ms, line.ramp_over_ms))
  local way = line.ramp_to - line.ramp_from
  line.rate = math.max(1, line.ramp_from + math.floor(way * done_ms / line.ramp_over_ms))
  if done_ms == line.ramp_over_ms then
    line.ramp_over_ms = 0
  end
end

local function ramp_left_ms(line)
  return math.max(1, line.ramp_begin_ms + line.ramp_over_ms - line.line_ms)
end

