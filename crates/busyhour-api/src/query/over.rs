//! Streams that have no end of their own end with the server, which waits for what is under way.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Extension;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::response::Response;
use http_body::Frame;
use tonic::Status;

use crate::events::Closing;

/// The same question, which has nothing more to say when the server stops.
pub(super) fn asked_until(asked: Request, closing: Option<&Extension<Closing>>) -> Request {
    let Some(Extension(closing)) = closing else { return asked };
    asked.map(|body| Body::new(Until::new(body, closing.clone(), None)))
}

/// The same answer, which is over when the server stops.
pub(super) fn told_until(answer: Response, closing: Option<&Extension<Closing>>) -> Response {
    let Some(Extension(closing)) = closing else { return answer };
    let mut trailers = HeaderMap::new();
    // A text without anything special is always a header.
    let _ = Status::unavailable("the collector is stopping").add_header(&mut trailers);
    let last = Some(Frame::trailers(trailers));
    answer.map(|body| Body::new(Until::new(body, closing.clone(), last)))
}

struct Until {
    body: Body,
    stops: Pin<Box<dyn Future<Output = ()> + Send>>,
    is_over: bool,
    /// What is said then.
    last: Option<Frame<Bytes>>,
}

impl Until {
    fn new(body: Body, Closing(mut closing): Closing, last: Option<Frame<Bytes>>) -> Self {
        let stops = Box::pin(async move { drop(closing.wait_for(|closing| *closing).await) });
        Self { body, stops, is_over: false, last }
    }
}

impl HttpBody for Until {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if !self.is_over {
            self.is_over = self.stops.as_mut().poll(context).is_ready();
        }
        match self.is_over {
            true => Poll::Ready(self.last.take().map(Ok)),
            false => Pin::new(&mut self.body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}
