-- What one part of the core tells another, written in the transaction that makes it true (outbox), and noted by whoever
-- heard it in the transaction of its effect (inbox). Whoever takes a message owns it until due_at; each owner's fence is
-- higher than the last one's. Messages about one order are heard in the order of seq.
create table outbox (
    seq integer not null primary key,
    id blob not null unique check (length(id) = 16),
    consumer text not null check (consumer in ('order', 'payment')),
    order_id blob not null check (length(order_id) = 16),
    kind text not null,
    payload text not null,
    state text not null check (state in ('ready', 'done', 'dead', 'dropped')),
    owner text,
    fence integer not null,
    tries integer not null,
    due_at integer not null,
    last_error text,
    created_at integer not null,
    updated_at integer not null
) strict;
create index outbox_due on outbox (consumer, state, due_at);
create index outbox_order on outbox (order_id, seq);
create index outbox_age on outbox (state, updated_at);

create table inbox (
    consumer text not null,
    message_id blob not null check (length(message_id) = 16),
    heard_at integer not null,
    primary key (consumer, message_id)
) strict;
create index inbox_age on inbox (heard_at);
