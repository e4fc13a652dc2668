//! One recorded run, from the check of what can be refused to the closed manifest.
//!
//! preflight → manifest `running` → journal and first samples → command → last samples → tool
//! output parsed → Parquet → manifest closed → journal removed. A kill or a loss of power at any
//! of these steps leaves a run that [`recover`] finishes.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;

use crate::archive::{Archive, ArchiveError, Lock, RunDirectory};
use crate::clock;
use crate::command_line::container;
use crate::config::Config;
use crate::fitness::processes::Processes;
use crate::fitness::{Progress, Requirements, Waited};
use crate::process::foreground::{self, Ended, Event, Running, Show, Signals, Task, Watch};
use crate::redact::keys;
use crate::root::Root;
use crate::run::campaign::{Endpoint, PlannedCell};
use crate::run::journal::{Header, Line, VERSION};
use crate::run::manifest::{Kind, Manifest, State, Tags};
use crate::run::{JOURNAL, RAW};
use crate::sample::{Sampler, Snapshot};
use crate::tool::{self, Phase, Tool};

mod alone;
pub(crate) mod close;
mod collect;
mod executable;
mod fit;
mod gpus;
mod guard;
mod inhibit;
mod journal;
mod leftovers;
mod machine;
pub mod mark;
pub mod model;
mod opening;
mod preflight;
mod probe;
pub mod recover;
mod repeat;
mod sampling;
mod server;
mod worth;

pub use executable::find_program;
use gpus::Gpus;
use guard::{Guard, Limits};
use inhibit::Inhibition;
use journal::Journal;
pub use opening::plain;
use preflight::Prepared;
use sampling::Sampling;
use server::PROVIDER_KEY_VARIABLE;
use server::Work;
pub use server::{KEY_VARIABLE, key_of};

/// The exit code where halo itself failed.
pub const FAULT: u8 = 125;

/// The variable in which a command finds the identifier of its run.
pub const ID_VARIABLE: &str = "HALO_RUN_ID";

/// The variable in which a command finds the directory of its run.
pub const DIRECTORY_VARIABLE: &str = "HALO_RUN_DIR";

/// The variables of halo that are no flags: those above, and the one that tools find a key in.
pub const VARIABLES: [&str; 3] = [ID_VARIABLE, DIRECTORY_VARIABLE, PROVIDER_KEY_VARIABLE];

/// The variable with which Python writes at once.
const UNBUFFERED: &str = "PYTHONUNBUFFERED";

/// What the user asks for.
#[derive(Debug, Clone)]
pub struct Request {
    /// Which subcommand was used.
    pub kind: Kind,
    /// The command.
    pub argv: Vec<OsString>,
    /// What the user says about the run.
    pub tags: Tags,
    /// How often the machine is sampled.
    pub interval: Duration,
    /// How long it is sampled before the command and after it.
    pub lead: Duration,
    /// Whether model files are hashed.
    pub hash_model: bool,
    /// How long each phase of a benchmark shall take at least.
    pub min_phase: Option<Duration>,
    /// The campaign that the run is a cell of.
    pub campaign: Option<Membership>,
    /// Where an eval of a suite asks; it runs in a directory of its run.
    pub endpoint: Option<Endpoint>,
    /// For how long an eval's server may be gone before its command is ended; none for what is no
    /// eval.
    pub server_timeout: Option<Duration>,
    /// What the machine must be like before it begins, and while it runs.
    pub requirements: Requirements,
    /// Where the run is archived.
    pub archive: Archive,
    /// Which sources are read, and where.
    pub config: Config,
}

/// Of which campaign a run is a cell.
#[derive(Debug, Clone)]
pub struct Membership {
    /// The campaign's name.
    pub campaign: String,
    /// The cell that was planned; none where commands merely run in turn.
    pub planned: Option<PlannedCell>,
}

/// Something that was refused before anything ran. Its text is one line.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub String);

/// What went wrong with a recording.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Nothing was run.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A signal came before anything ran.
    #[error("ended by {} before anything ran", foreground::signal_name(*.0))]
    Signal(i32),
    /// halo failed.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The system failed.
    #[error(transparent)]
    System(#[from] io::Error),
}

/// How halo shall end after a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// With this code.
    Code(u8),
    /// By the signal that ended the command.
    Signal(i32),
}

/// Records a command.
///
/// # Errors
///
/// What was refused before anything ran, and what halo could not do.
pub fn record(request: &Request) -> Result<Exit, RecordError> {
    repeat::check(request)?;
    let mut signals = Signals::catch()?;
    let recorded = record_aloud(request, &mut signals)?;
    let Some((longer, why)) = repeat::longer(request, &recorded) else { return Ok(recorded.exit) };
    say(&why);
    Ok(record_aloud(&longer, &mut signals)?.exit)
}

/// Records a command and says what becomes of it.
fn record_aloud(request: &Request, signals: &mut Signals) -> Result<Recorded, RecordError> {
    let request = &server::with_server(request);
    let prepared = preflight::check(request)?;
    let waited = fit::wait_until_fit(request, signals, None)?;
    let recording = Recording::begin(request, &prepared, None, &waited)?;
    say(&recording.greeting(request, &prepared));
    let recorded = recording.conclude(request, &prepared, signals);
    for line in &recorded.farewell {
        say(line);
    }
    Ok(recorded)
}

/// Records a command whose output nobody sees: a cell of a campaign. The signals are caught by
/// the campaign, so that none is lost between its cells.
///
/// # Errors
///
/// What was refused before anything ran, and what halo could not do.
pub fn record_cell(
    request: &Request,
    signals: &mut Signals,
    watcher: Arc<dyn Watcher>,
) -> Result<Recorded, RecordError> {
    let request = &server::with_server(request);
    let prepared = preflight::check(request)?;
    let waited = fit::wait_until_fit(request, signals, Some(&*watcher))?;
    let recording = Recording::begin(request, &prepared, Some(watcher), &waited)?;
    Ok(recording.conclude(request, &prepared, signals))
}

/// Told what happens while a command is recorded.
pub trait Watcher: Send + Sync {
    /// The machine is still too hot to begin.
    fn cooling(&self, progress: &Progress);

    /// The command has been started.
    fn started(&self);

    /// The tool says that it began something, or ended it.
    fn phase(&self, phase: &Phase);

    /// The machine was sampled.
    fn sample(&self, snapshot: &Snapshot);
}

/// A run that is archived.
#[derive(Debug)]
pub struct Recorded {
    /// How halo shall end after it.
    pub exit: Exit,
    /// The name of its directory.
    pub name: String,
    /// What it is.
    pub manifest: Manifest,
    /// What the user is told of its end.
    pub farewell: Vec<String>,
}

/// Says something to the user.
fn say(text: &str) {
    crate::say::tell("halo-record", text);
}

/// Waits, unless a signal wants halo to go on at once.
fn wait(duration: Duration, signals: &mut Signals) -> Option<i32> {
    let end = Instant::now() + duration;
    loop {
        if let Some(signal) = signals.ending() {
            return Some(signal);
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        std::thread::sleep(left.min(Duration::from_millis(20)));
    }
}

/// A run that is being recorded.
struct Recording {
    directory: RunDirectory,
    manifest: Manifest,
    journal: Arc<Journal>,
    sampling: Sampling,
    sampler: Arc<Sampler>,
    root: Arc<Root>,
    /// What is executed: the command of the plan, with variables where a container needs them.
    argv: Vec<OsString>,
    running: Running,
    guard: Option<Arc<Guard>>,
    /// What servers work on, where an eval asks them.
    work: Option<Arc<Work>>,
    /// On which GPUs the command works; none for a machine that is made of files.
    gpus: Option<Arc<Gpus>>,
    /// Who sees what happens instead of the user.
    watcher: Option<Arc<dyn Watcher>>,
    inhibition: Option<Inhibition>,
    processes: Option<Processes>,
    _lock: Lock,
}

impl Recording {
    /// Makes the run directory and begins to sample.
    fn begin(
        request: &Request,
        prepared: &Prepared,
        watcher: Option<Arc<dyn Watcher>>,
        waited: &Waited,
    ) -> Result<Self, RecordError> {
        let root = Arc::new(request.config.path.root());
        let sampler = Arc::new(Sampler::start(&request.config, &root)?);
        let started = Timestamp::now();
        let name = opening::directory_name(request, prepared, started);
        let (directory, lock) = request.archive.create(&name)?;
        let mut manifest = opening::manifest(request, prepared, &directory, started);
        let directory_text = directory.path().to_string_lossy();
        let variables = [(ID_VARIABLE, &*manifest.id), (DIRECTORY_VARIABLE, &directory_text)];
        let files = collect::directory(&directory);
        let argv = with_output(&prepared.plan.argv, &files);
        let argv = container::with_environment(&argv, &variables);
        manifest.command.executed = keys::hide_in_command(&argv);
        if request.endpoint.is_some() {
            manifest.command.directory = files.to_string_lossy().into_owned();
        }
        let places = collect::places(&manifest.command);
        let places = places.iter().map(|place| place.path.to_string_lossy().into_owned());
        manifest.command.places = places.collect();
        directory.write_manifest(&manifest)?;
        // Before the first sample: reading a whole model is no idle machine.
        manifest.models = opening::models(request, prepared, &mut manifest.problems);
        std::fs::create_dir(directory.join(RAW))?;
        if prepared.plan.argv.iter().any(is_output) || request.endpoint.is_some() {
            std::fs::create_dir(&files)?;
        }
        directory.reserve()?;

        let journal = Arc::new(Journal::create(&directory.join(JOURNAL))?);
        let recorded = sampler.sources().filter(|source| sampling::is_recorded(source));
        journal.append(&Line::Header(Header {
            version: VERSION,
            run: manifest.id.clone(),
            interval: u64::try_from(request.interval.as_nanos()).unwrap_or(u64::MAX),
            sources: recorded.map(|source| source.name.to_owned()).collect(),
            at: clock::now(),
        }));
        let (for_thread, its_journal) = (Arc::clone(&sampler), Arc::clone(&journal));
        journal.sync()?;
        let running = Running::default();
        let guard = guard(request, &journal, &running);
        let work = request.server_timeout.map(|_| Arc::new(Work::default()));
        let gpus = Gpus::of(request, &argv, &manifest.id, &running).map(Arc::new);
        let (its_watcher, its_guard, its_work) = (watcher.clone(), guard.clone(), work.clone());
        let its_gpus = gpus.clone();
        let see = move |snapshot: &Snapshot| {
            if let Some(gpus) = &its_gpus {
                gpus.look();
            }
            if let Some(work) = &its_work {
                work.look(snapshot);
            }
            if let Some(guard) = &its_guard {
                guard.look(snapshot);
            }
            if let Some(watcher) = &its_watcher {
                watcher.sample(snapshot);
            }
        };
        let sampling = Sampling::start(for_thread, its_journal, request.interval, see)?;

        let inhibition = Inhibition::begin(directory.name());
        manifest.environment_at_start = probe::at_start(request, &root, &sampler);
        manifest.environment_at_start.facts.extend(fit::facts(waited));
        directory.write_manifest(&manifest)?;
        Ok(Self {
            directory,
            manifest,
            journal,
            sampling,
            sampler,
            root,
            argv,
            running,
            guard,
            work,
            gpus,
            watcher,
            inhibition,
            processes: Processes::watch(&request.config),
            _lock: lock,
        })
    }

    /// Runs the command and closes the run.
    fn conclude(
        mut self,
        request: &Request,
        prepared: &Prepared,
        signals: &mut Signals,
    ) -> Recorded {
        let ended = match wait(request.lead, signals) {
            Some(signal) => {
                let ended = Ended { signal: Some(signal), ..Ended::default() };
                self.remember_end(&ended, Some(signal));
                ended
            }
            None => self.run(request, prepared, signals).unwrap_or_else(|error| {
                let program = prepared.plan.argv.first().map(|p| p.display().to_string());
                let problem = format!("{}: {error}", program.unwrap_or_default());
                self.manifest.problems.push(problem);
                let ended = Ended::default();
                self.remember_end(&ended, None);
                ended
            }),
        };
        // What never ran has left nothing to settle.
        if self.manifest.command.started.is_some() {
            if let Some(work) = &self.work {
                work.settle(&self.journal, request.interval, signals);
            }
            wait(request.lead, signals);
        }
        self.finish(&ended)
    }

    /// What the user is told before the command runs.
    fn greeting(&self, request: &Request, prepared: &Prepared) -> String {
        let sources = self.sampler.sources().filter(|s| sampling::is_recorded(s)).count();
        let mut text =
            format!("{}: {sources} sources every {:?}", self.directory.name(), request.interval);
        if !request.lead.is_zero() {
            let _ = write!(text, "; the machine alone for {:?} first", request.lead);
        }
        if prepared.tool.is_none() && request.kind != Kind::Run {
            text += "; halo does not know this tool, so its output is kept and not read";
        }
        for note in &prepared.plan.notes {
            text += "; ";
            text += note;
        }
        text
    }

    /// Runs the command to its end.
    fn run(
        &mut self,
        request: &Request,
        prepared: &Prepared,
        signals: &mut Signals,
    ) -> io::Result<Ended> {
        alone::look(&mut self.processes, request, self.watcher.is_some(), &mut self.manifest);
        let raw = |name: &str| File::create_new(self.directory.join(RAW).join(name));
        let id = OsString::from(&self.manifest.id);
        let mut variables =
            vec![(ID_VARIABLE, &*id), (DIRECTORY_VARIABLE, self.directory.path().as_os_str())];
        variables.extend(prepared.secrets.iter().map(|(name, value)| (*name, &**value)));
        // What a tool of Python says of its progress shall come when it says it.
        if request.kind == Kind::Eval && std::env::var_os(UNBUFFERED).is_none() {
            variables.push((UNBUFFERED, OsStr::new("1")));
        }
        let files = collect::directory(&self.directory);
        let task = Task {
            argv: &self.argv,
            variables: &variables,
            directory: request.endpoint.is_some().then_some(&files),
            running: self.running.clone(),
            stdout: raw("stdout")?,
            stderr: raw("stderr")?,
            show: Show {
                is_shown: self.watcher.is_none(),
                hidden: prepared.plan.hidden.clone(),
                watch: self.watch(prepared.tool),
            },
        };
        let mut asked_to_end = None;
        self.sampling.now();
        self.manifest.command.started = Some(Timestamp::now());
        let journal = Arc::clone(&self.journal);
        let (guard, watcher) = (self.guard.clone(), self.watcher.clone());
        let started = || {
            journal.mark("command started", []);
            if let Some(watcher) = &watcher {
                watcher.started();
            }
            if let Some(guard) = guard {
                guard.begin();
                if let (Some(url), Some(timeout)) = (server::url(request), request.server_timeout) {
                    server::watch(&url, timeout, &guard);
                }
            }
        };
        let tell = |event| match event {
            Event::Stopped => journal.mark("command stopped", []),
            Event::Continued => journal.mark("command continued", []),
            Event::Signal(signal) => {
                journal.mark("signal", [("signal", foreground::signal_name(signal))]);
                asked_to_end = asked_to_end.or(Some(signal).filter(|s| foreground::is_ending(*s)));
            }
        };
        let ended = foreground::run(task, signals, started, tell)?;
        self.manifest.processes = self.processes.as_mut().map(Processes::busiest);
        self.remember_end(&ended, asked_to_end);
        self.sampling.now();
        let was_ended = ended.signal.is_some() || close::was_cut_short(&self.manifest);
        let id = &self.manifest.id;
        let left = if was_ended && container::recognize(&self.argv).is_some() {
            leftovers::end(id, "in the container")
        } else if self.manifest.command.aborted.is_some() {
            // What still computes keeps the machine hot.
            leftovers::end(id, "that the command left")
        } else {
            None
        };
        self.manifest.problems.extend(left);
        Ok(ended)
    }

    /// Turns what the tool says of its progress into marks.
    fn watch(&self, tool: Option<&'static dyn Tool>) -> Watch {
        let journal = Arc::clone(&self.journal);
        let watcher = self.watcher.clone();
        Arc::new(move |line| {
            // At a terminal tools colour what they say.
            let line = anstream::adapter::strip_bytes(line).into_vec();
            if let Some(phase) = tool.and_then(|tool| tool.phase(&line)) {
                if let Some(watcher) = &watcher {
                    watcher.phase(&phase);
                }
                journal.mark_of_tool(phase.name, phase.attributes);
            }
        })
    }

    /// Remembers how the command ended: in the manifest, and in the journal for a recovery.
    fn remember_end(&mut self, ended: &Ended, asked_to_end: Option<i32>) {
        let abort = self.guard.as_ref().and_then(|guard| guard.end());
        // Too late is where it had ended itself.
        if let Some((reason, has_lost_server)) = abort.filter(|_| asked_to_end.is_some()) {
            self.manifest.command.aborted = Some(reason);
            self.manifest.command.lost_server = has_lost_server;
        }
        close::mark_end(&self.journal, &mut self.manifest.command, ended, asked_to_end);
    }

    /// Takes the last samples and closes the run.
    fn finish(mut self, ended: &Ended) -> Recorded {
        self.sampling.finish();
        self.manifest.command.gpus = self.gpus.as_ref().map(|gpus| gpus.seen()).unwrap_or_default();
        self.manifest.environment_at_end = Some(probe::at_end(&self.root, &self.sampler));
        let was_held = self.inhibition.take().is_some_and(|mut held| held.has_held());
        let facts = &mut self.manifest.environment_at_start.facts;
        facts.insert("sleep.inhibited".to_owned(), was_held.to_string());
        self.journal.mark("recording ended", []);
        let problem = self.journal.problem();
        // Held until the journal is removed: a mark that comes now is refused, not lost.
        let closed = self.journal.close();
        let released = self.directory.release();
        self.manifest.problems.extend(problem);
        // What the disk did not take is told, and what it took is archived.
        let failures = [closed.as_ref().err(), released.as_ref().err()];
        self.manifest.problems.extend(failures.into_iter().flatten().map(ToString::to_string));
        self.manifest.problems.extend(ended.losses.iter().cloned());
        if let Some(started) = self.manifest.command.started {
            collect::collect(&self.directory, &mut self.manifest, started, SystemTime::now());
        }
        let closed = close::close(&self.directory, &mut self.manifest);
        let mut farewell = close::farewell(&self.directory, &self.manifest);
        let exit = match (&closed, ended.signal, self.manifest.state) {
            (Err(error), ..) => {
                farewell.push(format!(
                    "{error}; the journal is kept: make room, then `halo-record recover {}`",
                    self.directory.name()
                ));
                Exit::Code(exit_code(ended).filter(|code| *code != 0).unwrap_or(FAULT))
            }
            (Ok(()), Some(signal), _) => Exit::Signal(signal),
            (Ok(()), None, _) if self.manifest.command.aborted.is_some() => {
                Exit::Signal(foreground::END)
            }
            // It exited with 0, and its own output says that it failed.
            (Ok(()), None, State::Failed | State::Cancelled)
                if ended.exit_code == Some(0) && self.manifest.failure.is_some() =>
            {
                Exit::Code(1)
            }
            (Ok(()), None, _) => Exit::Code(exit_code(ended).unwrap_or(FAULT)),
        };
        let name = self.directory.name().to_owned();
        Recorded { exit, name, manifest: self.manifest, farewell }
    }
}

/// What ends the command, where anything may.
fn guard(request: &Request, journal: &Arc<Journal>, running: &Running) -> Option<Arc<Guard>> {
    let required = &request.requirements;
    let limits = Limits { above: required.abort_above, after: required.timeout };
    let is_eval = request.server_timeout.is_some();
    let has_limit = limits.above.is_some() || limits.after.is_some() || is_eval;
    let signal = if is_eval { foreground::INTERRUPT } else { foreground::END };
    has_limit.then(|| Arc::new(Guard::new(limits, signal, Arc::clone(journal), running.clone())))
}

fn is_output(word: &OsString) -> bool {
    word.to_str().is_some_and(|word| word.contains(tool::OUTPUT))
}

/// A command line with the directory for a tool's files where it is asked for.
fn with_output(argv: &[OsString], files: &Path) -> Vec<OsString> {
    let word = |word: &OsString| match word.to_str().and_then(|word| word.split_once(tool::OUTPUT))
    {
        Some((before, after)) => {
            let mut word = OsString::from(before);
            word.push(files);
            word.push(after);
            word
        }
        None => word.clone(),
    };
    argv.iter().map(word).collect()
}

fn exit_code(ended: &Ended) -> Option<u8> {
    ended.exit_code.and_then(|code| u8::try_from(code).ok())
}

/// The last part of a path as text.
fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(OsStr::new("")).to_string_lossy().into_owned()
}
