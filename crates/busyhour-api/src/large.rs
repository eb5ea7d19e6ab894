//! Large answers: there are only so many at once, until they are taken.
//!
//! A turn at the store is over when an answer is there; a client that does not take it keeps it in memory.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::response::{IntoResponse as _, Response};
use busyhour_fleet::Place;
use http_body::{Frame, SizeHint};

use crate::app::Core;
use crate::problem::Problem;
use crate::query::refused;

/// Large answers at once, shared out by who asks: the largest are some 60 MB.
pub(crate) const MAX_LARGE: usize = 16;
/// What is longer is large.
const LARGE_BYTES: u64 = 1024 * 1024;
/// The same of a message, which takes several times as much before it is encoded.
pub(crate) const LARGE_MESSAGE_BYTES: usize = 256 * 1024;

/// That an answer is large, where its body does not tell.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IsLarge;

/// The same answer, which keeps a place until it was taken when it is large; or that there is none.
pub(crate) fn placed(core: &Core, who: String, is_grpc: bool, answer: Response) -> Response {
    let told = answer.extensions().get::<IsLarge>().is_some();
    if !told && answer.body().size_hint().lower() <= LARGE_BYTES {
        return answer;
    }
    if let Some(place) = core.large().take(who) {
        return answer.map(|body| Body::new(Placed { body, _place: place }));
    }
    let problem = Problem::busy("other large answers were not taken yet", Duration::from_secs(1));
    if is_grpc { refused(&problem) } else { problem.into_response() }
}

struct Placed {
    body: Body,
    _place: Place<String>,
}

impl HttpBody for Placed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
