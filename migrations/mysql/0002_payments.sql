-- What the customer sees (transactions), each try at a provider (attempt), money given back (refund), and what
-- providers told us (webhook_inbox). No card number has a place in any of them.
create table transactions (
    id binary(16) not null primary key,
    customer_id binary(16) not null,
    reservation_id binary(16) unique,
    amount bigint not null check (amount > 0),
    currency varchar(3) not null check (char_length(currency) = 3),
    payment_method varchar(32) not null,
    description varchar(500) not null,
    customer_reference varchar(128),
    state varchar(16) not null check (state in
        ('pending', 'processing', 'requires_action', 'completed', 'failed', 'cancelled', 'unknown', 'refunded')),
    version bigint not null,
    created_at bigint not null,
    updated_at bigint not null,
    foreign key (customer_id) references customer (id),
    foreign key (reservation_id) references reservation (id)
) engine = innodb default charset = utf8mb4 collate = utf8mb4_bin;
create index transactions_customer on transactions (customer_id, created_at, id);

-- live = 1 while the try may still end in money, null afterwards: at most one live try for a transaction.
create table attempt (
    id binary(16) not null primary key,
    transaction_id binary(16) not null,
    n bigint not null,
    live bigint check (live = 1),
    provider varchar(32) not null,
    reference varchar(128) not null unique,
    state varchar(16) not null check (state in
        ('sending', 'sent', 'requires_action', 'captured', 'failed', 'cancelled', 'unknown')),
    amount bigint not null check (amount > 0),
    currency varchar(3) not null,
    payment_method varchar(32) not null,
    payment_token varchar(255),
    return_url varchar(1000),
    action_url varchar(1000),
    error_class varchar(64),
    tries bigint not null,
    due_at bigint,
    created_at bigint not null,
    updated_at bigint not null,
    unique (transaction_id, n),
    unique (transaction_id, live),
    foreign key (transaction_id) references transactions (id)
) engine = innodb default charset = utf8mb4 collate = utf8mb4_bin;
create index attempt_due on attempt (state, due_at);

create table refund (
    id binary(16) not null primary key,
    attempt_id binary(16) not null,
    cause varchar(32) not null,
    amount bigint not null check (amount > 0),
    state varchar(16) not null check (state in ('requested', 'sending', 'succeeded', 'failed', 'unknown')),
    tries bigint not null,
    due_at bigint,
    created_at bigint not null,
    updated_at bigint not null,
    unique (attempt_id, cause),
    foreign key (attempt_id) references attempt (id)
) engine = innodb default charset = utf8mb4 collate = utf8mb4_bin;
create index refund_due on refund (state, due_at);

create table webhook_inbox (
    provider varchar(32) not null,
    event_id varchar(128) not null,
    kind varchar(32) not null,
    reference varchar(128) not null,
    body mediumblob not null,
    state varchar(16) not null check (state in ('received', 'done', 'parked')),
    tries bigint not null,
    due_at bigint,
    received_at bigint not null,
    primary key (provider, event_id)
) engine = innodb default charset = utf8mb4 collate = utf8mb4_bin;
create index webhook_inbox_due on webhook_inbox (state, due_at);
