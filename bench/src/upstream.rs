//! A shop behind the doors that ends each session with its first order.

use std::net::SocketAddr;

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

const ORDERED: &[u8] = b"HTTP/1.1 200 OK\r\nx-waiting-room-session: end\r\ncontent-length: 2\r\n\r\nok";

/// Serves until dropped.
pub(crate) struct Shop {
    pub(crate) address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Shop {
    pub(crate) async fn open() -> Result<Shop> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let serving = tokio::spawn(async move {
            while let Ok((mut door, _)) = listener.accept().await {
                tokio::spawn(async move {
                    // Requests without a body, one after the other: each comes in one piece over the loopback.
                    let mut bytes = [0; 8_192];
                    while door.read(&mut bytes).await.is_ok_and(|length| length > 0) {
                        if door.write_all(ORDERED).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Ok(Shop { address, serving })
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
