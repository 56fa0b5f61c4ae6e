-- The last changes by operators, oldest first.
-- ARGV: time and caller's state. Answers {snapshot, {change (JSON), ...}}.

local line, refusal = load()
if not line then
  return refusal
end
save(line)
return { snapshot(line), redis.call('LRANGE', CHANGES, 0, -1) }
