-- Begins the line if there is none; otherwise only the length of sessions and the lanes are taken over. Who has seen it
-- before restores it instead.
-- ARGV: time and caller's state, what it begins with (JSON). Answers the snapshot.

local initial = cjson.decode(ARGV[2])
local line, refusal, exists = load()
if not line then
  if SEEN_EPOCH ~= 0 or exists then
    return refusal
  end
  line = begin(math.max(1, now_ms()), 1)
  line.session_ms = initial.session_ms
  set(line, initial)
  follow(line, initial.lanes)
  open_when_due(line)
elseif follow(line, initial.lanes) or line.session_ms ~= initial.session_ms then
  line.session_ms = initial.session_ms
  line.version = line.version + 1
end
save(line)
return snapshot(line)
