-- What one part of the core tells another, written in the transaction that makes it true (outbox), and noted by whoever
-- heard it in the transaction of its effect (inbox). Whoever takes a message owns it until due_at; each owner's fence is
-- higher than the last one's. Messages about one order are heard in the order of seq.
create table outbox (
    seq bigint not null auto_increment primary key,
    id binary(16) not null unique,
    consumer varchar(16) not null check (consumer in ('order', 'payment')),
    order_id binary(16) not null,
    kind varchar(32) not null,
    payload text not null,
    state varchar(16) not null check (state in ('ready', 'done', 'dead', 'dropped')),
    owner varchar(64),
    fence bigint not null,
    tries bigint not null,
    due_at bigint not null,
    last_error varchar(1000),
    created_at bigint not null,
    updated_at bigint not null
) engine = innodb default charset = utf8mb4 collate = utf8mb4_bin;
create index outbox_due on outbox (consumer, state, due_at);
create index outbox_order on outbox (order_id, seq);
create index outbox_age on outbox (state, updated_at);

create table inbox (
    consumer varchar(16) not null,
    message_id binary(16) not null,
    heard_at bigint not null,
    primary key (consumer, message_id)
) engine = innodb default charset = utf8mb4 collate = utf8mb4_bin;
create index inbox_age on inbox (heard_at);
