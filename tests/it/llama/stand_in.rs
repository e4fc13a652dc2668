//! A stand-in for a server: it answers each path with a text, and remembers what it was asked.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::captures::{body, capture};

/// What is answered: the status, the body, and how long it takes.
#[derive(Clone)]
pub(crate) struct Reply {
    pub(crate) status: &'static str,
    pub(crate) body: String,
    pub(crate) after: Duration,
    pub(crate) head: &'static str,
}

impl Reply {
    pub(crate) fn ok(body: impl Into<String>) -> Self {
        Self::with("200 OK", body)
    }

    pub(crate) fn with(status: &'static str, body: impl Into<String>) -> Self {
        Self { status, body: body.into(), after: Duration::ZERO, head: "" }
    }

    pub(crate) fn captured(name: &str) -> Self {
        Self::ok(body(&capture(name)))
    }
}

pub(crate) struct StandIn {
    pub(crate) address: SocketAddr,
    replies: Arc<Mutex<HashMap<String, Reply>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl StandIn {
    pub(crate) fn new(replies: &[(&str, Reply)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let replies = replies.iter().map(|(path, reply)| ((*path).to_owned(), reply.clone()));
        let replies = Arc::new(Mutex::new(replies.collect::<HashMap<_, _>>()));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (its_replies, its_asked) = (Arc::clone(&replies), Arc::clone(&asked));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (replies, asked) = (Arc::clone(&its_replies), Arc::clone(&its_asked));
                std::thread::spawn(move || serve(&stream, &replies, &asked));
            }
        });
        Self { address, replies, asked }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers a path otherwise from now on.
    pub(crate) fn set(&self, path: &str, reply: Reply) {
        self.replies.lock().unwrap().insert(path.to_owned(), reply);
    }

    /// The paths that were asked for, with the key that came along.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(
    mut stream: &TcpStream,
    replies: &Mutex<HashMap<String, Reply>>,
    asked: &Mutex<Vec<String>>,
) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut request = String::new();
        reader.read_line(&mut request).ok().filter(|length| *length > 0)?;
        let path = request.split(' ').nth(1)?.to_owned();
        let mut key = String::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            if let Some(value) = line.to_lowercase().strip_prefix("authorization: ") {
                value.trim().clone_into(&mut key);
            }
            if line.trim().is_empty() {
                break;
            }
        }
        asked.lock().unwrap().push(format!("{path} {key}").trim_end().to_owned());
        let reply = replies.lock().unwrap().get(&path).cloned();
        let reply = reply.unwrap_or_else(|| Reply::with("404 Not Found", "{}"));
        std::thread::sleep(reply.after);
        let Reply { status, body, head, .. } = reply;
        let length = body.len();
        if head.starts_with("Content-Length") {
            // It promises more than it sends.
            write!(stream, "HTTP/1.1 {status}\r\n{head}\r\n{body}").ok()?;
            return None;
        }
        write!(stream, "HTTP/1.1 {status}\r\n{head}Content-Length: {length}\r\n\r\n{body}").ok()?;
    }
}
