//! An answer that is there already, or on its way. Nearly all requests are polls, and polls wait for nothing: whoever asks
//! first whether the answer is there pays nothing for the state that the others wait in.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use http::Response;

/// What is answered to a request.
#[must_use = "an answer that nobody waits for is not given"]
pub struct Answer(When);

type Later = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

enum When {
    /// `None` once it was taken.
    Now(Option<Response<Body>>),
    Later(Later),
}

impl Answer {
    /// It is there.
    pub fn at_once(response: Response<Body>) -> Answer {
        Answer(When::Now(Some(response)))
    }

    /// It will be.
    pub fn later(response: impl Future<Output = Response<Body>> + Send + 'static) -> Answer {
        // Boxed: it may be kilobytes of state, which every layer around it would copy for every request.
        Answer(When::Later(Box::pin(response)))
    }

    /// The answer, if it is there.
    ///
    /// # Errors
    /// It is not: here it is back, to be waited for.
    #[expect(clippy::result_large_err, reason = "moved once, and no larger than the answer itself")]
    pub fn now(self) -> Result<Response<Body>, Answer> {
        match self.0 {
            When::Now(Some(response)) => Ok(response),
            waiting @ (When::Now(None) | When::Later(_)) => Err(Answer(waiting)),
        }
    }
}

impl Future for Answer {
    type Output = Response<Body>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Response<Body>> {
        match &mut self.get_mut().0 {
            When::Now(response) => response.take().map_or(Poll::Pending, Poll::Ready),
            When::Later(response) => response.as_mut().poll(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(text: &'static str) -> Response<Body> {
        Response::new(Body::from(text))
    }

    async fn text(response: Response<Body>) -> String {
        String::from_utf8(axum::body::to_bytes(response.into_body(), 100).await.unwrap().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn what_is_there_can_be_taken_or_waited_for() {
        assert_eq!(text(Answer::at_once(response("a")).await).await, "a");
        assert_eq!(text(Answer::at_once(response("b")).now().ok().expect("it is there")).await, "b");
        let later = Answer::later(async { response("c") }).now();
        assert_eq!(text(later.expect_err("not yet").await).await, "c");
    }
}
