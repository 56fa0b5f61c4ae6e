-- What the customer sees (transactions), each try at a provider (attempt), money given back (refund), and what
-- providers told us (webhook_inbox). No card number has a place in any of them.
create table transactions (
    id blob not null primary key check (length(id) = 16),
    customer_id blob not null references customer (id),
    reservation_id blob unique references reservation (id),
    amount integer not null check (amount > 0),
    currency text not null check (length(currency) = 3),
    payment_method text not null,
    description text not null,
    customer_reference text,
    state text not null check (state in
        ('pending', 'processing', 'requires_action', 'completed', 'failed', 'cancelled', 'unknown', 'refunded')),
    version integer not null,
    created_at integer not null,
    updated_at integer not null
) strict;
create index transactions_customer on transactions (customer_id, created_at, id);

-- live = 1 while the try may still end in money, null afterwards: at most one live try for a transaction.
create table attempt (
    id blob not null primary key check (length(id) = 16),
    transaction_id blob not null references transactions (id),
    n integer not null,
    live integer check (live = 1),
    provider text not null,
    reference text not null unique,
    state text not null check (state in
        ('sending', 'sent', 'requires_action', 'captured', 'failed', 'cancelled', 'unknown')),
    amount integer not null check (amount > 0),
    currency text not null,
    payment_method text not null,
    payment_token text,
    return_url text,
    action_url text,
    error_class text,
    tries integer not null,
    due_at integer,
    created_at integer not null,
    updated_at integer not null,
    unique (transaction_id, n),
    unique (transaction_id, live)
) strict;
create index attempt_due on attempt (state, due_at);

create table refund (
    id blob not null primary key check (length(id) = 16),
    attempt_id blob not null references attempt (id),
    cause text not null,
    amount integer not null check (amount > 0),
    state text not null check (state in ('requested', 'sending', 'succeeded', 'failed', 'unknown')),
    tries integer not null,
    due_at integer,
    created_at integer not null,
    updated_at integer not null,
    unique (attempt_id, cause)
) strict;
create index refund_due on refund (state, due_at);

create table webhook_inbox (
    provider text not null,
    event_id text not null,
    kind text not null,
    reference text not null,
    body blob not null,
    state text not null check (state in ('received', 'done', 'parked')),
    tries integer not null,
    due_at integer,
    received_at integer not null,
    primary key (provider, event_id)
) strict;
create index webhook_inbox_due on webhook_inbox (state, due_at);
