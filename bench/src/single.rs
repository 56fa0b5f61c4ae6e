//! The peer that grouped joins are compared with: the same door on the same Redis, but every join is a call of its own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use axum::Router;
use axum::extract::{ConnectInfo, Request};
use clap::Args;
use tokio::net::TcpListener;
use waiting_room::store::{LineStore, RedisStore};
use waiting_room::{Clock, Door, Secrets, Settings, new_entry_key};

#[derive(Debug, Args)]
pub(crate) struct SingleDoor {
    /// Where it listens
    #[arg(long)]
    listen: SocketAddr,
    /// The line's store
    #[arg(long)]
    store: String,
    /// Serve with joins grouped, as the real door does
    #[arg(long)]
    grouped: bool,
}

impl SingleDoor {
    /// Serves until it is killed.
    pub(crate) async fn serve(self) -> Result<()> {
        let secrets = Secrets { ticket_key: vec![7; 32], entry_key_pkcs8: new_entry_key() };
        let started = Instant::now();
        let clock: Clock = Arc::new(move || i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX));
        let settings = Settings { store: self.store.clone(), ..Settings::default() };
        let door = if self.grouped {
            Door::open(settings, secrets, clock, PathBuf::new()).await?
        } else {
            let store: Arc<dyn LineStore> = Arc::new(RedisStore::open(&self.store).await?);
            Door::with_store(&settings, &secrets, clock, &store).await?
        };
        let answering = door.clone();
        let app = Router::new().fallback(move |ConnectInfo(peer): ConnectInfo<SocketAddr>, request: Request| {
            let door = answering.clone();
            async move { door.answer(request, peer).await }
        });
        let listener = TcpListener::bind(self.listen).await?;
        let ticking = tokio::spawn(async move { door.run(tokio_util::sync::CancellationToken::new()).await });
        axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
        ticking.abort();
        Ok(())
    }
}
