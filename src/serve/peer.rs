//! The other end of a connection: where it is, and whether it is still there.
//!
//! hyper drops a request whose client has left, but it does not see that while bytes are unread: a
//! body, or a next request.

use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use axum::Extension;
use axum::middleware::AddExtension;
use axum_server::accept::Accept;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::net::TcpStream;
use tower_layer::Layer;

/// The client of a connection; what the system does not say is absent.
#[derive(Debug, Clone, Default)]
pub(super) struct Peer {
    pub(super) address: Option<IpAddr>,
    /// A second descriptor of the connection, which is closed with it.
    socket: Option<Arc<OwnedFd>>,
}

impl Peer {
    fn of(stream: &TcpStream) -> Self {
        Self {
            address: stream.peer_addr().ok().map(|address| address.ip()),
            socket: stream.as_fd().try_clone_to_owned().ok().map(Arc::new),
        }
    }

    /// Whether the client has closed its end, or the connection is broken.
    pub(super) fn has_left(&self) -> bool {
        let Some(socket) = &self.socket else { return false };
        // What is always told, as a broken connection, need not be asked for.
        let mut looked = [PollFd::new(socket, PollFlags::RDHUP)];
        poll(&mut looked, Some(&Timespec::default())).is_ok_and(|found| found > 0)
    }
}

/// Says with each request who its client is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Introduce<A>(pub(super) A);

impl<A, S> Accept<TcpStream, S> for Introduce<A>
where
    A: Accept<TcpStream, AddExtension<S, Peer>>,
{
    type Stream = A::Stream;
    type Service = A::Service;
    type Future = A::Future;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let service = Extension(Peer::of(&stream)).layer(service);
        self.0.accept(stream, service)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{Shutdown, TcpListener};

    use super::*;

    /// What hyper would not see.
    #[tokio::test]
    async fn who_leaves_is_seen_behind_bytes_that_nobody_has_read() {
        let leave: [fn(&mut std::net::TcpStream); 2] = [
            |client| client.shutdown(Shutdown::Both).unwrap(),
            |client| client.shutdown(Shutdown::Write).unwrap(),
        ];
        for leave in leave {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let mut client = std::net::TcpStream::connect(address).unwrap();
            let mut server = listener.accept().unwrap().0;
            let copy = server.try_clone().unwrap();
            copy.set_nonblocking(true).unwrap();
            let peer = Peer::of(&TcpStream::from_std(copy).unwrap());
            assert_eq!(peer.address, Some(address.ip()));
            client.write_all(b"unread").unwrap();
            assert!(!peer.has_left());
            leave(&mut client);
            // Over loopback the end has come once the call is back, and is not read by this.
            let mut first = [0; 1];
            server.set_nonblocking(false).unwrap();
            server.read_exact(&mut first).unwrap();
            assert!(peer.has_left());
        }
    }

    #[test]
    fn nobody_in_particular_has_not_left() {
        assert!(!Peer::default().has_left());
    }
}
