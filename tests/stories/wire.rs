//! What stories need below the program's API: free ports, something to stand behind a door, and what tickets and entry
//! tokens say.

use base64::Engine;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// The first byte of a ticket with a number; one given out while the store was away has none yet.
const NUMBERED: u8 = 1;

pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port()
}

/// Answers everything with two bytes.
pub(crate) async fn upstream() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address");
    tokio::spawn(async move {
        while let Ok((mut visitor, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut bytes = [0; 4_096];
                while visitor.read(&mut bytes).await.is_ok_and(|length| length > 0) {
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                    if visitor.write_all(answer).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    format!("http://{address}")
}

fn decoded(text: &str) -> Vec<u8> {
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).expect("base64")
}

/// Epoch and number of a ticket for the room `demo`; none in one that has no number yet.
pub(crate) fn number_in(ticket: &str) -> Option<(u64, u64)> {
    let bytes = decoded(ticket);
    if bytes.first() != Some(&NUMBERED) {
        return None;
    }
    let at = |from: usize| u64::from_be_bytes(bytes[from..from + 8].try_into().expect("eight bytes"));
    // Kind, key id, length of the room's name, its name; epoch, lane, number.
    let epoch = 1 + 4 + 1 + "demo".len();
    Some((at(epoch), at(epoch + 9))).filter(|(_, number)| *number > 0)
}

/// Whom an entry token is for: the place that went in.
pub(crate) fn subject_of(token: &str) -> String {
    let claims: Value = serde_json::from_slice(&decoded(token.split('.').nth(1).expect("claims"))).expect("JSON");
    claims["sub"].as_str().expect("a subject").to_owned()
}
