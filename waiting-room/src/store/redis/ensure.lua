-- Begins the line if there is none; otherwise only the length of sessions is taken over.
-- ARGV: now, rate, burst, session_ms, state, message. Answers the snapshot.

local session_ms = tonumber(ARGV[4])
local line = load()
if not line then
  local now = now_ms()
  line = {
    epoch = math.max(1, now), version = 1, wall_ms = now, line_ms = now, issued = 0, cursor = 0,
    rate = tonumber(ARGV[2]), burst = tonumber(ARGV[3]), session_ms = session_ms, state = ARGV[5], message = ARGV[6],
    units = 0, calls = {}, total = 0, seconds = {}, window = math.floor(now / REPEAT_MS),
  }
  redis.call('UNLINK', SPENT, RECENT[0], RECENT[1])
elseif line.session_ms ~= session_ms then
  line.session_ms = session_ms
  line.version = line.version + 1
end
save(line)
return snapshot(line)
