//! An exporter as a process: started, observed from outside, ended.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::client::{Client, Limit, Mode, Target, load};

/// How long an exporter gets to answer for the first time.
const START: Duration = Duration::from_secs(10);

/// A program with its arguments, and what it is asked.
#[derive(Debug, Clone)]
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) path: &'static str,
}

/// A running exporter, ended when it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) target: Target,
}

impl Server {
    /// Starts an exporter on a free port and waits for its first answer.
    pub(crate) fn start(contender: &Contender) -> anyhow::Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let child = Command::new(&contender.program)
            .args(&contender.arguments)
            .arg(format!("--web.listen-address={address}"))
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", contender.program.display()))?;
        let target = Target { address, path: contender.path.to_owned() };
        let mut server = Self { child, target };
        let began = Instant::now();
        while !matches!(Client::new(&server.target, Mode::PROMETHEUS).scrape(), Ok(200)) {
            if let Some(status) = server.child.try_wait()? {
                bail!("{} ended at once: {status}", contender.name);
            }
            if began.elapsed() > START {
                bail!("{} gave no answer for {START:?}", contender.name);
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(server)
    }

    /// The body of one scrape.
    pub(crate) fn body(&self, gzip: bool) -> anyhow::Result<Vec<u8>> {
        let mut client = Client::new(&self.target, Mode { gzip, ..Mode::PROMETHEUS });
        match client.scrape()? {
            200 => Ok(client.body().to_owned()),
            status => bail!("{} answers {status}", self.target.path),
        }
    }

    /// Processor time of all its threads. They live as long as the process in each contender,
    /// so none of it is lost.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        let mut nanoseconds = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let text = fs::read_to_string(task?.path().join("schedstat"))?;
            let first = text.split(' ').next().unwrap_or_default();
            nanoseconds += first.parse::<u64>().context("/proc/PID/task/TID/schedstat")?;
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    /// Resident memory now, in bytes.
    pub(crate) fn resident(&self) -> anyhow::Result<u64> {
        self.status("VmRSS:")
    }

    /// The most resident memory that it ever had, in bytes.
    pub(crate) fn resident_peak(&self) -> anyhow::Result<u64> {
        self.status("VmHWM:")
    }

    fn status(&self, key: &str) -> anyhow::Result<u64> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = text.lines().find_map(|line| line.strip_prefix(key)).context(key.to_owned())?;
        let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib * 1024)
    }

    /// System calls a scrape, by name, counted by strace over `scrapes` scrapes. Ends the server,
    /// because that is when strace tells.
    pub(crate) fn system_calls(mut self, scrapes: usize) -> anyhow::Result<BTreeMap<String, f64>> {
        let directory = tempfile::tempdir()?;
        let table = directory.path().join("strace");
        let mut strace = Command::new("strace")
            .args(["-f", "-c", "-o"])
            .arg(&table)
            .args(["-p", &self.child.id().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("strace cannot be started; `apt-get install strace` gives it")?;
        let mut messages = BufReader::new(strace.stderr.take().context("no standard error")?);
        let mut first = String::new();
        messages.read_line(&mut first)?;
        let is_attached = first.contains("attached");
        if is_attached {
            load(&self.target, Mode::PROMETHEUS, Limit::Scrapes(scrapes));
            self.child.kill()?;
        }
        messages.read_to_string(&mut String::new())?;
        strace.wait()?;
        if !is_attached {
            bail!("{}", first.trim());
        }
        Ok(fs::read_to_string(&table)?
            .lines()
            .filter_map(system_call)
            .map(|(name, calls)| (name.to_owned(), calls as f64 / scrapes as f64))
            .collect())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Name and number of calls from a line `% time, seconds, usecs/call, calls, [errors,] syscall`.
fn system_call(line: &str) -> Option<(&str, u64)> {
    let columns: Vec<&str> = line.split_whitespace().collect();
    let name = columns.last().filter(|name| **name != "total")?;
    columns.first()?.parse::<f64>().ok()?;
    Some((name, columns.get(3)?.parse().ok()?))
}
