-- Begins the line if there is none; otherwise only the length of sessions is taken over. Who has seen it before restores
-- it instead.
-- ARGV: time and caller's state, rate, burst, session_ms, state, message, max_active, renewal. Answers the snapshot.

local session_ms = tonumber(ARGV[4])
local line, refusal = load()
if not line then
  if SEEN_EPOCH ~= 0 then
    return refusal
  end
  line = begin(math.max(1, now_ms()), 1)
  line.rate, line.burst, line.session_ms = tonumber(ARGV[2]), tonumber(ARGV[3]), session_ms
  line.state, line.message = ARGV[5], ARGV[6]
  line.max_active, line.renewal = tonumber(ARGV[7]), tonumber(ARGV[8])
elseif line.session_ms ~= session_ms then
  line.session_ms = session_ms
  line.version = line.version + 1
end
save(line)
return snapshot(line)
