//! What a client gets that speaks plain HTTP to a port that encrypts: the answer of Go's net/http,
//! which says what is wrong, rather than an alert that it cannot read.

use std::io;
use std::pin::Pin;
use std::time::Duration;

use axum_server::accept::Accept;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// What requests begin with, to the length of a record's head in TLS: the list of net/http
/// (`tlsRecordHeaderLooksLikeHTTP`).
const BEGINNINGS: [&[u8; 5]; 5] = [b"GET /", b"HEAD ", b"POST ", b"PUT /", b"OPTIO"];

/// The answer of net/http.
const ANSWER: &[u8] =
    b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

/// How long a client has for its first bytes; axum-server gives a handshake as long.
const FIRST_BYTES: Duration = Duration::from_secs(10);

/// How long is waited for the rest of some first bytes.
const NEXT_LOOK: Duration = Duration::from_millis(10);

/// How long a client has to read the answer.
const FAREWELL: Duration = Duration::from_secs(1);

/// Answers who speaks plain HTTP, and lets everybody else pass.
#[derive(Debug, Clone, Copy)]
pub(in crate::serve) struct RefusePlain;

impl<S: Send + 'static> Accept<TcpStream, S> for RefusePlain {
    type Stream = TcpStream;
    type Service = S;
    type Future = Pin<Box<dyn Future<Output = io::Result<(TcpStream, S)>> + Send>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        Box::pin(async move {
            if timeout(FIRST_BYTES, begins_as_http(&stream)).await?? {
                return Err(refuse(stream).await);
            }
            Ok((stream, service))
        })
    }
}

/// Looks at the first bytes, and leaves them where they are.
async fn begins_as_http(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0; 5];
    loop {
        let length = stream.peek(&mut first).await?;
        let may_be = BEGINNINGS.iter().any(|known| known.starts_with(&first[..length]));
        if !may_be || length == 0 || length == first.len() {
            return Ok(may_be && length > 0);
        }
        // What is there already makes the next look ready at once.
        sleep(NEXT_LOOK).await;
    }
}

async fn refuse(mut stream: TcpStream) -> io::Error {
    let farewell = async {
        stream.write_all(ANSWER).await?;
        stream.shutdown().await?;
        // A connection that is closed with bytes unread is reset, and takes the answer with it.
        let mut rest = [0; 1024];
        while stream.read(&mut rest).await? > 0 {}
        io::Result::Ok(())
    };
    // Whether it was read or not, there is nothing more to say.
    let _ = timeout(FAREWELL, farewell).await;
    io::Error::new(io::ErrorKind::InvalidData, "plain HTTP to a port that encrypts")
}
