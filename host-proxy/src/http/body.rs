//! Bounded bodies: in size, in time, and in kind.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use strongroom_shared::problem::{Code, Problem};
use tokio::time::timeout;

use super::problem::Refusal;

/// The longest body of a request, in bytes.
pub const MAX_BODY: usize = 512 << 10;

/// How long a body may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(10);

/// The bytes of a body that says it is JSON.
///
/// A body that is refused is read to its end nevertheless, and thrown away: a caller that is still
/// sending when its connection is closed hears of a broken connection, and not why.
pub(crate) struct JsonBytes(pub(crate) Bytes);

impl<S: Sync> FromRequest<S> for JsonBytes {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        let json = is_json(request.headers());
        let mut kept = Kept::default();
        let arrived = timeout(ARRIVAL, kept.read(request.into_body())).await;
        if !json {
            let detail = "header content-type: expected application/json";
            return Err(Problem::new(Code::UnsupportedMediaType, detail).into());
        }
        if kept.too_large {
            let detail = format!("body: expected at most {MAX_BODY} bytes");
            return Err(Problem::new(Code::BodyTooLarge, detail).into());
        }
        match arrived {
            Ok(Ok(())) => Ok(Self(kept.bytes.freeze())),
            Ok(Err(_)) => Err(malformed("body: expected as many bytes as were announced")),
            Err(_) => Err(malformed("body: expected within 10 seconds")),
        }
    }
}

/// What has arrived of a body.
#[derive(Default)]
struct Kept {
    bytes: BytesMut,
    too_large: bool,
}

impl Kept {
    async fn read(&mut self, mut body: Body) -> Result<(), axum::Error> {
        while let Some(frame) = body.frame().await.transpose()? {
            let Ok(data) = frame.into_data() else { continue };
            self.too_large |= self.bytes.len().saturating_add(data.len()) > MAX_BODY;
            if self.too_large {
                self.bytes = BytesMut::new();
            } else {
                self.bytes.extend_from_slice(&data);
            }
        }
        Ok(())
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

    use axum::body::HttpBody;
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
