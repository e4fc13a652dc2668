//! Serves the metrics of one machine to Prometheus.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::anyhow;
use halo::cli::{self, Request};
use halo::config::Config;
use halo::root::Root;
use halo::sample::{Sampler, Snapshot};
use halo::serve::web_config::Web;
use halo::serve::{self, expose};
use halo::source::{Source, selfstat};
use halo::{capture, doctor, log, say};
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

/// The exit code of a wrong flag, key, file or address.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let request = match cli::parse(std::env::args_os()) {
        Ok(request) => request,
        Err(error) => {
            warn(None);
            return refuse(&error);
        }
    };
    warn(request.config());
    let result = match request {
        Request::Print(text) => print(&text),
        Request::CheckConfig(config) => check(&config),
        Request::Once(config) => once(&config),
        Request::Doctor(config) => examine(&config),
        Request::Capture(config, directory) => match capture::prepare(&directory) {
            Ok(()) => copy(&config, &directory),
            Err(error) => return refuse(&error),
        },
        Request::Serve(config) => match Prepared::new(&config) {
            Ok(prepared) => serve(&config, prepared),
            Err(error) => return refuse(&format!("{error:#}")),
        },
    };
    match result {
        Ok(code) => code,
        // A reader that has seen enough, as `head`, is no failure.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn refuse(error: &dyn std::fmt::Display) -> ExitCode {
    tell(&error.to_string());
    ExitCode::from(USAGE)
}

/// Says which variables have no effect.
fn warn(config: Option<&Config>) {
    for complaint in cli::variables::unknown(config) {
        tell(&complaint);
    }
}

fn tell(message: &str) {
    say::tell("halo-exporter", message);
}

fn print(text: &str) -> anyhow::Result<ExitCode> {
    say::print(text)?;
    Ok(ExitCode::SUCCESS)
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    // One thread serves: reading happens in the sources' own threads, and this leaves the other
    // cores to the models.
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// What is opened before anything is started, so that a wrong setting starts nothing.
struct Prepared {
    listeners: Vec<TcpListener>,
    web: Web,
}

impl Prepared {
    fn new(config: &Config) -> anyhow::Result<Self> {
        let web = load_web(config)?;
        let listeners = config.web.listen_address.iter().map(|address| listen(address));
        Ok(Self { web, listeners: listeners.collect::<anyhow::Result<_>>()? })
    }
}

fn listen(address: &str) -> anyhow::Result<TcpListener> {
    let addresses = cli::addresses(address)?;
    TcpListener::bind(&addresses[..]).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => anyhow!(
            "--web.listen-address {address}: the port is in use; `ss -ltnp` shows by whom, or choose another"
        ),
        io::ErrorKind::AddrNotAvailable => anyhow!(
            "--web.listen-address {address}: none of this machine's addresses; `ip address` lists them"
        ),
        _ => anyhow!("--web.listen-address {address}: {error}; choose another"),
    })
}

fn check(config: &Config) -> anyhow::Result<ExitCode> {
    match load_web(config) {
        Ok(_) => print("The configuration is valid.\n"),
        Err(error) => Ok(refuse(&error)),
    }
}

fn load_web(config: &Config) -> anyhow::Result<Web> {
    Web::load(config.web.config_file.as_deref())
        .map_err(|error| anyhow!("--web.config.file {error}"))
}

fn serve(config: &Config, prepared: Prepared) -> anyhow::Result<ExitCode> {
    log::start(config.log);
    let sampler = Sampler::start(config, &Arc::new(config.path.root()))?;
    let addresses: Vec<SocketAddr> =
        prepared.listeners.iter().map(TcpListener::local_addr).collect::<io::Result<_>>()?;
    let ready = || {
        let scheme = if prepared.web.tls().is_some() { "https" } else { "http" };
        for address in &addresses {
            info!("serves {scheme}://{address}{}", config.web.telemetry_path);
        }
        // Without systemd there is nobody to notify, which is no error.
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    };
    let runtime = runtime()?;
    let served = runtime.block_on(async {
        let mut terminated = signal(SignalKind::terminate())?;
        let mut interrupted = signal(SignalKind::interrupt())?;
        let shutdown = async {
            tokio::select! {
                _ = terminated.recv() => info!("stops: SIGTERM"),
                _ = interrupted.recv() => info!("stops: SIGINT"),
            }
            let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
        };
        serve::run(prepared.listeners, config, sampler, &prepared.web, ready, shutdown).await
    });
    // A password that is being compared, or a file on a network that is gone, is not waited for.
    runtime.shutdown_background();
    served?;
    Ok(ExitCode::SUCCESS)
}

/// The metrics of this short-lived process would overwrite those of whoever reads the file.
fn is_of_others(source: &Source) -> bool {
    source.name != selfstat::SOURCE.name
}

fn snapshot(
    config: &Config,
    root: &Arc<Root>,
    is_wanted: impl Fn(&Source) -> bool,
) -> anyhow::Result<Snapshot> {
    log::start(config.log);
    let sampler = Sampler::start(config, root)?;
    let snapshot = runtime()?.block_on(sampler.snapshot(is_wanted));
    sampler.wait_for_log();
    Ok(snapshot)
}

fn once(config: &Config) -> anyhow::Result<ExitCode> {
    let snapshot = snapshot(config, &Arc::new(config.path.root()), is_of_others)?;
    let mut output = say::data();
    output.write_all(expose::render(&snapshot)?.as_bytes())?;
    output.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn examine(config: &Config) -> anyhow::Result<ExitCode> {
    let snapshot = snapshot(config, &Arc::new(config.path.root()), is_of_others)?;
    let report = doctor::examine(config, &snapshot);
    print(&report.text)?;
    Ok(if report.has_failures { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn copy(config: &Config, directory: &std::path::Path) -> anyhow::Result<ExitCode> {
    let root = Arc::new(config.path.root().recording());
    snapshot(config, &root, capture::wants)?;
    let written = capture::write(&root, directory).map_err(|error| anyhow!("--capture {error}"))?;
    print(&format!(
        "{} files, {} bytes: {directory}\nLook through it before you send it, then try it:\n  halo-exporter --once --path.procfs {directory}/proc --path.sysfs {directory}/sys --path.rootfs {directory}/root\n",
        written.files,
        written.bytes,
        directory = directory.display(),
    ))
}
