//! One stream for each consumer, with one group. An entry is an id and a fence.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, FromRedisValue, Pipeline, RedisResult, cmd, pipe};
use tokio::sync::Mutex;

use crate::base::MessageId;
use crate::outbox::store::Taken;

/// How long a read waits for an entry.
const BLOCK: Duration = Duration::from_millis(1_000);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// A server that is later than this has stopped.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// Entries of one read.
const COUNT: usize = 64;

/// About how many entries a stream keeps if nobody reads it. What is cut off is relayed again.
const LENGTH_MAX: usize = 100_000;

const GROUP: &str = "workers";

/// One entry, to be acknowledged when what became of its message is written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(super) entry: String,
    /// `None`: not ours, and to be forgotten.
    pub(crate) message: Option<(MessageId, i64)>,
}

/// A stream's entries as the server sends them.
type Raw = Vec<(String, Vec<String>)>;

/// The streams of one Redis database. Cheap to clone; every clone made by [`RedisStreams::another`] reads by itself.
#[derive(Clone)]
pub(crate) struct RedisStreams {
    client: Client,
    prefix: Arc<str>,
    /// This reader's name in the groups.
    reader: Arc<str>,
    // Async mutexes: whoever finds no connection makes one, and the others wait for it.
    reads: Arc<Mutex<Option<MultiplexedConnection>>>,
    writes: Arc<Mutex<Option<MultiplexedConnection>>>,
}

impl RedisStreams {
    /// Connects when it is first used.
    ///
    /// # Errors
    /// It is no address of one Redis server.
    pub(crate) fn at(url: &str, prefix: &str) -> RedisResult<Self> {
        Ok(Self {
            client: Client::open(url)?,
            prefix: prefix.into(),
            reader: format!("{:032x}", rand::random::<u128>()).into(),
            reads: Arc::default(),
            writes: Arc::default(),
        })
    }

    /// The same streams, for another reader: a read that waits has its connection for itself.
    pub(crate) fn another(&self) -> Self {
        Self {
            reader: format!("{:032x}", rand::random::<u128>()).into(),
            reads: Arc::default(),
            writes: Arc::default(),
            ..self.clone()
        }
    }

    fn key(&self, part: &str) -> String {
        format!("{}:{part}", self.prefix)
    }

    /// Tells that these wait.
    pub(crate) async fn add(&self, part: &str, taken: &[Taken]) -> RedisResult<()> {
        let mut all = pipe();
        for one in taken {
            all.cmd("XADD").arg(self.key(part)).arg("MAXLEN").arg("~").arg(LENGTH_MAX).arg("*");
            all.arg("message").arg(one.id.to_string()).arg("fence").arg(one.fence).ignore();
        }
        self.write(&all).await
    }

    /// New entries for this reader; after a second without any, none.
    pub(crate) async fn read(&self, part: &str) -> RedisResult<Vec<Entry>> {
        let mut read = cmd("XREADGROUP");
        read.arg("GROUP").arg(GROUP).arg(&*self.reader).arg("COUNT").arg(COUNT);
        read.arg("BLOCK").arg(millis(BLOCK)).arg("STREAMS").arg(self.key(part)).arg(">");
        let streams: Option<Vec<(String, Raw)>> = self.ask(part, &read).await?;
        Ok(streams.unwrap_or_default().into_iter().flat_map(|(_, raw)| entries(raw)).collect())
    }

    /// Entries that were handed to readers and not acknowledged for so long: these readers are gone.
    pub(crate) async fn read_lost(&self, part: &str, idle: Duration) -> RedisResult<Vec<Entry>> {
        let mut claim = cmd("XAUTOCLAIM");
        claim.arg(self.key(part)).arg(GROUP).arg(&*self.reader).arg(millis(idle)).arg("0").arg("COUNT").arg(COUNT);
        let (_, raw, _): (String, Raw, Vec<String>) = self.ask(part, &claim).await?;
        Ok(entries(raw))
    }

    /// Forgets these.
    pub(crate) async fn acknowledge(&self, part: &str, entries: &[Entry]) -> RedisResult<()> {
        if entries.is_empty() {
            return Ok(());
        }
        let mut all = pipe();
        for command in [["XACK", GROUP], ["XDEL", ""]] {
            all.cmd(command[0]).arg(self.key(part));
            if !command[1].is_empty() {
                all.arg(command[1]);
            }
            for one in entries {
                all.arg(&one.entry);
            }
            all.ignore();
        }
        self.write(&all).await
    }

    /// Takes this reader out of the group.
    pub(crate) async fn leave(&self, part: &str) -> RedisResult<()> {
        let mut all = pipe();
        all.cmd("XGROUP").arg("DELCONSUMER").arg(self.key(part)).arg(GROUP).arg(&*self.reader).ignore();
        self.write(&all).await
    }

    async fn write(&self, all: &Pipeline) -> RedisResult<()> {
        let mut kept = self.writes.lock().await;
        let mut connection = match kept.take() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        all.query_async::<()>(&mut connection).await?;
        // One that failed is not kept.
        *kept = Some(connection);
        Ok(())
    }

    /// A failure may mean that the server has lost the group: with a new connection it is made again.
    async fn ask<T: FromRedisValue>(&self, part: &str, command: &Cmd) -> RedisResult<T> {
        let mut kept = self.reads.lock().await;
        let mut connection = match kept.take() {
            Some(connection) => connection,
            None => {
                let mut connection = self.connect().await?;
                self.make_group(part, &mut connection).await?;
                connection
            }
        };
        let answer = command.query_async(&mut connection).await?;
        *kept = Some(connection);
        Ok(answer)
    }

    async fn make_group(&self, part: &str, connection: &mut MultiplexedConnection) -> RedisResult<()> {
        let mut make = cmd("XGROUP");
        make.arg("CREATE").arg(self.key(part)).arg(GROUP).arg("0").arg("MKSTREAM");
        match make.query_async::<()>(connection).await {
            Err(error) if error.code() == Some("BUSYGROUP") => Ok(()),
            made => made,
        }
    }

    async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(ANSWER_TIMEOUT));
        Box::pin(self.client.get_multiplexed_async_connection_with_config(&config)).await
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn entries(raw: Raw) -> Vec<Entry> {
    raw.into_iter().map(|(entry, fields)| Entry { entry, message: message(&fields) }).collect()
}

fn message(fields: &[String]) -> Option<(MessageId, i64)> {
    let field = |name: &str| {
        fields.chunks_exact(2).find_map(|pair| match pair {
            [key, value] if key == name => Some(value.as_str()),
            _ => None,
        })
    };
    Some((MessageId::parse(field("message")?)?, field("fence")?.parse().ok()?))
}
