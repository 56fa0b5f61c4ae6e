//! The threads that answer visitors: one for each core, each with a scheduler and with connections of its own.
//!
//! A poll is answered in a few microseconds. Where threads take work from each other, half of them go into waking the
//! other thread for it; here a connection stays where it is. What takes long must not run on these threads: it goes to
//! `spawn_blocking`, as everywhere.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use tokio::net::TcpStream;
use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;

/// Who answers what comes over the connections of a server.
pub(super) enum Threads {
    /// The threads of the program, which take work from each other.
    Shared,
    /// Threads for this alone.
    Own(Arc<Workers>),
}

impl Threads {
    /// Whether visitors are served: only they have threads of their own.
    pub(super) fn are_own(&self) -> bool {
        matches!(self, Threads::Own(_))
    }

    /// Has a connection served.
    ///
    /// # Errors
    /// The connection could not be handed over, and is closed.
    pub(super) fn serve<F>(
        &self,
        stream: TcpStream,
        serve: impl FnOnce(TcpStream) -> F + Send + 'static,
    ) -> io::Result<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        match self {
            Threads::Shared => {
                tokio::spawn(serve(stream));
                Ok(())
            }
            Threads::Own(workers) => workers.serve(stream, serve),
        }
    }
}

/// A thread for each core. Dropped, they end, and what is still under way on them is cut off.
pub(super) struct Workers {
    workers: Vec<Worker>,
    over: CancellationToken,
}

struct Worker {
    runtime: Handle,
    open: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl Workers {
    /// Starts as many as there are cores.
    pub(super) fn start() -> io::Result<Workers> {
        Workers::many(thread::available_parallelism().map_or(1, usize::from))
    }

    fn many(count: usize) -> io::Result<Workers> {
        let over = CancellationToken::new();
        let workers = (0..count).map(|nth| Worker::start(nth, over.clone())).collect::<io::Result<_>>()?;
        Ok(Workers { workers, over })
    }

    /// Serves a connection on the thread that has the fewest.
    fn serve<F>(&self, stream: TcpStream, serve: impl FnOnce(TcpStream) -> F + Send + 'static) -> io::Result<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let idlest = self.workers.iter().min_by_key(|worker| worker.open.load(Ordering::Relaxed));
        let worker = idlest.ok_or_else(|| io::Error::other("there are no threads"))?;
        // A connection belongs to the scheduler that it was registered with.
        let stream = stream.into_std()?;
        let open = Open::count(&worker.open);
        worker.runtime.spawn(async move {
            let _open = open;
            match TcpStream::from_std(stream) {
                Ok(stream) => serve(stream).await,
                Err(error) => tracing::warn!(%error, "a connection could not be handed over"),
            }
        });
        Ok(())
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.over.cancel();
        for thread in self.workers.iter_mut().filter_map(|worker| worker.thread.take()) {
            let _ = thread.join();
        }
    }
}

impl Worker {
    fn start(nth: usize, over: CancellationToken) -> io::Result<Worker> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let thread = thread::Builder::new().name(format!("visitors-{nth}")).spawn(move || {
            runtime.block_on(over.cancelled());
            // A name that is still being looked up must not hold up the end.
            runtime.shutdown_background();
        })?;
        Ok(Worker { runtime: handle, open: Arc::default(), thread: Some(thread) })
    }
}

/// One connection, counted for as long as it lives.
struct Open(Arc<AtomicUsize>);

impl Open {
    fn count(open: &Arc<AtomicUsize>) -> Open {
        open.fetch_add(1, Ordering::Relaxed);
        Open(Arc::clone(open))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::thread::ThreadId;
    use std::time::Duration;

    use tokio::net::TcpListener;
    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn connections_are_spread_evenly_and_stay_on_their_thread() {
        let workers = Workers::many(3).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (tell, mut told) = mpsc::unbounded_channel::<ThreadId>();
        let mut clients = Vec::new();
        for _ in 0..12 {
            clients.push(TcpStream::connect(listener.local_addr().unwrap()).await.unwrap());
            let (stream, _) = listener.accept().await.unwrap();
            let tell = tell.clone();
            let serve = move |stream: TcpStream| async move {
                let first = thread::current().id();
                stream.readable().await.unwrap();
                assert_eq!(thread::current().id(), first);
                tell.send(first).unwrap();
                std::future::pending::<()>().await;
            };
            workers.serve(stream, serve).unwrap();
        }
        for client in &clients {
            client.try_write(b"x").unwrap();
        }
        let mut by_thread = HashMap::new();
        for _ in 0..12 {
            *by_thread.entry(told.recv().await.unwrap()).or_insert(0) += 1;
        }
        assert_eq!(by_thread.into_values().collect::<Vec<_>>(), [4, 4, 4]);
    }

    #[tokio::test]
    async fn a_connection_that_has_ended_makes_room_and_the_rest_end_with_the_threads() {
        let workers = Workers::many(1).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut clients = Vec::new();
        let (tell, mut told) = mpsc::unbounded_channel::<()>();
        for stays in [true, false] {
            clients.push(TcpStream::connect(listener.local_addr().unwrap()).await.unwrap());
            let (stream, _) = listener.accept().await.unwrap();
            let tell = tell.clone();
            let serve = move |_stream: TcpStream| async move {
                let _told_at_the_end = tell;
                if stays {
                    std::future::pending::<()>().await;
                }
            };
            workers.serve(stream, serve).unwrap();
        }
        drop(tell);
        let open = Arc::clone(&workers.workers[0].open);
        while open.load(Ordering::Relaxed) > 1 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        drop(workers);
        assert_eq!(told.recv().await, None, "cut off");
        assert_eq!(open.load(Ordering::Relaxed), 0);
    }
}
