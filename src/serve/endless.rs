//! Answers without an end, events and gRPC streams, are ended by the stop: they would use up the drain of everybody
//! else. Whoever listens connects again, to whoever serves next.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use http::{HeaderMap, HeaderValue, Response, header};
use hyper::body::{Body as Frames, Frame, SizeHint};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// What a gRPC client reads as "try again elsewhere": UNAVAILABLE.
const GRPC_UNAVAILABLE: HeaderValue = HeaderValue::from_static("14");

/// Ends the answer at `stop`, if it is of a kind that has no end of its own.
pub(super) fn ended_by(stop: &CancellationToken, response: Response<Body>) -> Response<Body> {
    let kind = response.headers().get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let last = if kind.starts_with(b"text/event-stream") {
        None
    } else if kind.starts_with(b"application/grpc") {
        Some(HeaderMap::from_iter([(header::HeaderName::from_static("grpc-status"), GRPC_UNAVAILABLE)]))
    } else {
        return response;
    };
    let stopped = Box::pin(stop.clone().cancelled_owned());
    response.map(|inner| Body::new(Endless { inner, stopped, last, over: false }))
}

struct Endless {
    inner: Body,
    stopped: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Trailers that say why it ended, for who reads trailers.
    last: Option<HeaderMap>,
    over: bool,
}

impl Frames for Endless {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        if this.over {
            return Poll::Ready(None);
        }
        // What is there already still goes out: only waiting is cut short.
        if let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(context) {
            return Poll::Ready(frame);
        }
        if this.stopped.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        this.over = true;
        Poll::Ready(this.last.take().map(|trailers| Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.over || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::StreamExt;
    use http_body_util::BodyExt;

    use super::*;

    /// An answer that says one thing and then nothing more, ever.
    fn endless(kind: &'static str) -> Response<Body> {
        let one = futures_util::stream::iter([Ok::<_, std::convert::Infallible>("news")]);
        let mut response = Response::new(Body::from_stream(one.chain(futures_util::stream::pending())));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        response
    }

    async fn at_the_stop(kind: &'static str) -> Option<http_body_util::Collected<Bytes>> {
        let stop = CancellationToken::new();
        let response = ended_by(&stop, endless(kind));
        stop.cancel();
        let collected = tokio::time::timeout(Duration::from_millis(200), response.into_body().collect()).await;
        collected.ok().map(|whole| whole.expect("ends well"))
    }

    #[tokio::test]
    async fn events_end_at_the_stop_and_what_was_there_still_goes_out() {
        let whole = at_the_stop("text/event-stream").await.expect("it ends");
        assert!(whole.trailers().is_none());
        assert_eq!(whole.to_bytes(), "news");
    }

    #[tokio::test]
    async fn a_grpc_stream_ends_with_a_status() {
        let whole = at_the_stop("application/grpc").await.expect("it ends");
        assert_eq!(whole.trailers().expect("trailers")["grpc-status"], "14");
        assert_eq!(whole.to_bytes(), "news");
    }

    #[tokio::test]
    async fn what_has_an_end_of_its_own_is_left_to_it() {
        assert!(at_the_stop("application/pdf").await.is_none());
    }
}
