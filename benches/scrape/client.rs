//! A small HTTP/1.1 client, so that little of what is measured is its own.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

/// No exporter takes longer; a scrape beyond it is counted as failed.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What is asked, and of whom.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) path: String,
}

/// How it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Mode {
    pub(crate) clients: usize,
    pub(crate) keep_alive: bool,
    pub(crate) gzip: bool,
}

impl Mode {
    /// One connection for all scrapes and a compressed answer, as Prometheus does it.
    pub(crate) const PROMETHEUS: Self = Self { clients: 1, keep_alive: true, gzip: true };

    /// Everything that is compared.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        [1, 8, 40].into_iter().flat_map(|clients| {
            [(false, false), (true, false), (false, true), (true, true)]
                .map(|(keep_alive, gzip)| Self { clients, keep_alive, gzip })
        })
    }
}

impl std::fmt::Display for Mode {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let connection = if self.keep_alive { "kept" } else { "new" };
        let encoding = if self.gzip { "gzip" } else { "plain" };
        write!(formatter, "{} {connection} {encoding}", self.clients)
    }
}

/// When to stop.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Limit {
    /// After this long.
    Time(Duration),
    /// After this many scrapes of each client.
    Scrapes(usize),
}

/// How long the scrapes took, shortest first.
#[derive(Debug, Default)]
pub(crate) struct Load {
    pub(crate) latencies: Vec<Duration>,
    pub(crate) failures: usize,
}

impl Load {
    /// The latency that this share of the scrapes does not exceed, in milliseconds.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        quantile(&self.latencies, share)
    }
}

/// The same of any sorted durations; 0 where there are none.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share from 0 to 1 of a length"
)]
pub(crate) fn quantile(sorted: &[Duration], share: f64) -> f64 {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).map_or(0.0, |latency| latency.as_secs_f64() * 1000.0)
}

/// Scrapes with as many clients as the mode says, each as fast as it gets answers.
pub(crate) fn load(target: &Target, mode: Mode, limit: Limit) -> Load {
    let start = Barrier::new(mode.clients);
    let mut all = Load::default();
    thread::scope(|scope| {
        let clients: Vec<_> = (0..mode.clients)
            .map(|_| scope.spawn(|| client(target, mode, limit, &start)))
            .collect();
        for client in clients {
            let one = client.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            all.latencies.extend(one.latencies);
            all.failures += one.failures;
        }
    });
    all.latencies.sort_unstable();
    all
}

fn client(target: &Target, mode: Mode, limit: Limit, start: &Barrier) -> Load {
    let mut client = Client::new(target, mode);
    let mut load = Load::default();
    start.wait();
    let began = Instant::now();
    loop {
        let scraped = load.latencies.len() + load.failures;
        let is_over = match limit {
            Limit::Time(duration) => began.elapsed() >= duration,
            Limit::Scrapes(count) => scraped >= count,
        };
        if is_over {
            return load;
        }
        let asked = Instant::now();
        match client.scrape() {
            Ok(200) => load.latencies.push(asked.elapsed()),
            Ok(_) | Err(_) => load.failures += 1,
        }
    }
}

/// One client and its connection.
#[derive(Debug)]
pub(crate) struct Client {
    address: SocketAddr,
    request: Vec<u8>,
    keep_alive: bool,
    connection: Option<BufReader<TcpStream>>,
    line: String,
    body: Vec<u8>,
}

impl Client {
    pub(crate) fn new(target: &Target, mode: Mode) -> Self {
        let Target { address, path } = target;
        let connection = if mode.keep_alive { "keep-alive" } else { "close" };
        let encoding = if mode.gzip { "gzip" } else { "identity" };
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: halo-bench\r\n\
             Accept: text/plain;version=0.0.4;q=1,*/*;q=0.1\r\n\
             Accept-Encoding: {encoding}\r\nConnection: {connection}\r\n\r\n"
        );
        Self {
            address: *address,
            request: request.into_bytes(),
            keep_alive: mode.keep_alive,
            connection: None,
            line: String::new(),
            body: Vec::new(),
        }
    }

    /// The body of the last answer.
    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    /// Asks once, reads the whole answer, and gives its status.
    pub(crate) fn scrape(&mut self) -> io::Result<u16> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect()?,
        };
        connection.get_mut().write_all(&self.request)?;
        let (status, may_continue) = self.answer(&mut connection)?;
        if self.keep_alive && may_continue {
            self.connection = Some(connection);
        }
        Ok(status)
    }

    fn connect(&self) -> io::Result<BufReader<TcpStream>> {
        let stream = TcpStream::connect(self.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        Ok(BufReader::with_capacity(64 * 1024, stream))
    }

    fn answer(&mut self, connection: &mut BufReader<TcpStream>) -> io::Result<(u16, bool)> {
        let status = read_line(connection, &mut self.line)?
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .ok_or(io::ErrorKind::InvalidData)?;
        let mut length = None;
        let mut is_chunked = false;
        let mut may_continue = true;
        loop {
            let header = read_line(connection, &mut self.line)?;
            let Some((name, value)) = header.split_once(':') else { break };
            let value = value.trim();
            if name.eq_ignore_ascii_case("content-length") {
                length = Some(value.parse().map_err(|_| io::ErrorKind::InvalidData)?);
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                is_chunked = value.eq_ignore_ascii_case("chunked");
            } else if name.eq_ignore_ascii_case("connection") {
                may_continue = !value.eq_ignore_ascii_case("close");
            }
        }
        self.body.clear();
        if is_chunked {
            self.chunks(connection)?;
        } else if let Some(length) = length {
            self.body.resize(length, 0);
            connection.read_exact(&mut self.body)?;
        } else {
            connection.read_to_end(&mut self.body)?;
            may_continue = false;
        }
        Ok((status, may_continue))
    }

    fn chunks(&mut self, connection: &mut BufReader<TcpStream>) -> io::Result<()> {
        loop {
            let size = read_line(connection, &mut self.line)?;
            let size = usize::from_str_radix(size, 16).map_err(|_| io::ErrorKind::InvalidData)?;
            let end = self.body.len() + size;
            self.body.resize(end, 0);
            connection.read_exact(&mut self.body[end - size..])?;
            read_line(connection, &mut self.line)?;
            if size == 0 {
                return Ok(());
            }
        }
    }
}

fn read_line<'a>(
    connection: &mut BufReader<TcpStream>,
    line: &'a mut String,
) -> io::Result<&'a str> {
    line.clear();
    if connection.read_line(line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end())
}
