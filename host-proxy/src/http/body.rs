//! Bounded bodies: in size, in time, and in kind.

use std::time::Duration;

use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use strongroom_shared::problem::{Code, Problem};
use tokio::time::timeout;

use super::problem::Refusal;

/// The longest body of a request, in bytes.
pub const MAX_BODY: usize = 512 << 10;

/// How long a body may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(10);

/// The bytes of a body that says it is JSON.
pub(crate) struct JsonBytes(pub(crate) Bytes);

impl<S: Sync> FromRequest<S> for JsonBytes {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        if !is_json(request.headers()) {
            let detail = "header content-type: expected application/json";
            return Err(Problem::new(Code::UnsupportedMediaType, detail).into());
        }
        let body = Limited::new(request.into_body(), MAX_BODY);
        match timeout(ARRIVAL, body.collect()).await {
            Ok(Ok(collected)) => Ok(Self(collected.to_bytes())),
            Ok(Err(error)) if error.is::<LengthLimitError>() => {
                let detail = format!("body: expected at most {MAX_BODY} bytes");
                Err(Problem::new(Code::BodyTooLarge, detail).into())
            }
            Ok(Err(_)) => Err(malformed("body: expected as many bytes as were announced")),
            Err(_) => Err(malformed("body: expected within 10 seconds")),
        }
    }
}

fn malformed(detail: &str) -> Refusal {
    Problem::new(Code::MalformedRequest, detail).into()
}

/// `application/json`, with or without parameters.
fn is_json(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(|value| {
        let essence = value.split(';').next().unwrap_or_default().trim();
        essence.eq_ignore_ascii_case("application/json")
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use axum::body::{Body, HttpBody};
    use http_body_util::Full;
    use hyper::body::Frame;

    use super::*;

    /// Half a body, and then silence or an error.
    struct Half {
        then: Option<std::io::ErrorKind>,
    }

    impl HttpBody for Half {
        type Data = Bytes;
        type Error = std::io::Error;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
            match self.then {
                None => Poll::Pending,
                Some(kind) => Poll::Ready(Some(Err(kind.into()))),
            }
        }
    }

    async fn read<B>(body: B) -> Result<JsonBytes, Problem>
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let request = Request::post("/").header(header::CONTENT_TYPE, "application/json");
        let request = request.body(Body::new(body)).unwrap();
        JsonBytes::from_request(request, &()).await.map_err(|refusal| refusal.0)
    }

    #[tokio::test(start_paused = true)]
    async fn half_a_body_is_refused() {
        let silent = read(Half { then: None }).await.err().unwrap();
        assert_eq!(silent.detail, "body: expected within 10 seconds");
        let broken =
            read(Half { then: Some(std::io::ErrorKind::UnexpectedEof) }).await.err().unwrap();
        assert_eq!(broken.detail, "body: expected as many bytes as were announced");
    }

    #[tokio::test]
    async fn the_longest_body_is_taken() {
        let longest = Full::new(Bytes::from(vec![b' '; MAX_BODY]));
        assert_eq!(read(longest).await.ok().unwrap().0.len(), MAX_BODY);
    }
}
