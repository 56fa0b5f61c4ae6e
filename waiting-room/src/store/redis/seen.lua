-- The holders of these positions were heard of. Nodes report, once a second, on everybody near the front.
-- ARGV: time and caller's state, position... Answers the snapshot.

local line, refusal = load()
if not line then
  return refusal
end
local near = math.min(line.issued, line.cursor + math.max(line.rate, NEAR_MIN))
if line.reported_at == 0 or line.line_ms - line.reported_at > PRESENCE_MS then
  line.known_to, line.watch_to, line.watch_at = 0, near, line.line_ms
elseif line.line_ms - line.watch_at >= PRESENCE_MS then
  line.known_to, line.watch_to, line.watch_at = line.watch_to, near, line.line_ms
end
line.known_to, line.watch_to = math.min(line.known_to, near), math.min(line.watch_to, near)
line.reported_at = line.line_ms

for index = 2, #ARGV do
  local position = tonumber(ARGV[index])
  if position >= 1 and position <= line.issued and not is_spent(position) then
    see(line, position)
  end
end
save(line)
return snapshot(line)
